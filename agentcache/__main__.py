"""`python -m agentcache` is the command line."""

from agentcache.cli import main

main()
