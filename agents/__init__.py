"""Reference teams: each a script that imports `agentcache`, its own `agents` siblings and nothing deeper."""
