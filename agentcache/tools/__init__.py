"""Tools that many agents need, read-only and bounded: files below one directory, HTTP GET by allow-list, arithmetic."""

from agentcache.tools.calculator import calculator
from agentcache.tools.files import FileTools
from agentcache.tools.web import http_get

__all__ = ["calculator", "FileTools", "http_get"]
