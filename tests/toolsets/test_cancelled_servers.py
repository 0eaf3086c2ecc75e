"""An MCP server whose opening, listing, call or closing is cancelled: nothing of the connection is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentcache import Runtime
from agentcache.emulator.server import serve
from tests.cancellation.conftest import chosen  # noqa: F401  # a fixture
from tests.cancellation.stage import brief
from tests.cancellation.test_opening_closing import lives
from tests.toolsets.clerk import Office, clerk


def echoes(request: dict[str, Any]) -> Any:
    if request["messages"][-1]["content"][0]["type"] == "tool_result":
        return "all is done"
    return [{"type": "tool_use", "name": "office__echo", "input": {"word": "hi"}}]


async def test_a_server_is_let_go_of_wherever_its_runtime_is_cancelled(tmp_path, office: Office, chosen):  # noqa: F811
    async def life(folder: Path) -> str:
        async with Runtime(str(folder / "ledger.db"), base_url=emulator.base_url, sleep=brief) as runtime:
            return str((await runtime.run(clerk(office.http()), "say hi")).output)

    async with serve(echoes) as emulator:
        await lives(life, tmp_path, chosen)
