"""The command line: `agentcache COMMAND`. One thin file per command; what they do lives in the rooms below."""

from agentcache.cli.app import app


def main() -> None:
    """Run the command line with this process's arguments and exit with its code."""
    app(prog_name="agentcache")


__all__ = ["app", "main"]
