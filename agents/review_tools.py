"""The three read-only tools of the review team.

This module decides how a model names what it wants to see. What may be seen, and how much of it, is decided in
`source_tree.py`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

from agentcache import Tool, tool
from agents.source_tree import SourceTree


def source_tools(tree: SourceTree) -> tuple[Tool, ...]:
    """Return `list_files`, `read_file` and `search_text` for `tree`.

    The definitions do not mention the directory, so that every review sends the same bytes for them.
    """

    @tool
    async def list_files(
        directory: Annotated[str, Field(description='A directory of the project, such as "src"; "." is all.')] = ".",
        offset: Annotated[int, Field(description="How many files to skip; a page says where the next begins.")] = 0,
    ) -> str:
        """List the project's files below a directory, sorted, with their sizes in bytes, 200 to a page.

        Files marked binary, large, withheld or unreadable cannot be read. The last line says what is left out.
        """
        return await asyncio.to_thread(tree.list_files, directory, offset)

    @tool
    async def read_file(
        path: Annotated[str, Field(description="The file's path exactly as list_files shows it.")],
        start_line: Annotated[int, Field(description="First line to show; a page says where the next begins.")] = 1,
    ) -> str:
        """Read a text file of the project, up to 400 lines to a page, each line led by its number and a tab."""
        return await asyncio.to_thread(tree.read_file, path, start_line)

    @tool
    async def search_text(
        text: Annotated[str, Field(description="Text within one line, taken literally: no patterns, no wildcards.")],
        directory: Annotated[str, Field(description='Where to search, such as "src"; "." is everywhere.')] = ".",
        ignore_case: Annotated[bool, Field(description="Whether upper and lower case are the same.")] = False,
    ) -> str:
        """Find every line of the project that contains a piece of text, as path, line number and the line."""
        return await asyncio.to_thread(tree.search_text, text, directory, ignore_case)

    return (list_files, read_file, search_text)
