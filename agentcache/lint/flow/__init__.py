"""Which values that vary a prompt shows, and where: templates interpreted with origins in place of values."""
