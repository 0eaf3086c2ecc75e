"""What agentcache brings along when it is installed: read from the metadata of this environment, offline."""
