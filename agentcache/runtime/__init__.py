"""Call: an agent's declaration becomes requests, tool runs, replies and rows of the ledger."""
