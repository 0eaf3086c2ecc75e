"""The search for the suite's key finds a key where it is: what never fails shows nothing."""

from __future__ import annotations

import base64
import gzip
import lzma
import sqlite3
from contextlib import closing

import pytest

from agentcache.emulator.messages_api import MessagesApi
from tests.canary import CANARY, Canary
from tests.workflow.conftest import agent, staged

pytest_plugins = ["pytester"]

OTHER = Canary("sk-ant-finch-3HsLw8RzPqKd")
"""Not the suite's, which no file of the suite may hold."""


def written(folder, name, data):
    (folder / name).write_bytes(data)
    return folder / name


def test_it_is_found_in_every_kind_of_file_that_the_suite_makes(tmp_path):
    text = f'{{"authorization": "Bearer {OTHER.key}"}}'.encode()
    (tmp_path / "below").mkdir()
    holding = {
        written(tmp_path, "log.jsonl", text),
        written(tmp_path / "below", "log.jsonl.gz", gzip.compress(text)),
        written(tmp_path, "log.jsonl.xz", lzma.compress(text)),
        written(tmp_path, "page.html", b"<td>" + text),
        tmp_path / "ledger.db",
    }
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger, ledger:
        ledger.execute("CREATE TABLE calls (error TEXT)")
        ledger.execute("INSERT INTO calls VALUES (?)", (text.decode(),))
    written(tmp_path, "clean.jsonl", b'{"key": "sk-ant-other"}')
    written(tmp_path, "damaged.gz", b"\x1f\x8b no gzip")
    assert set(OTHER.files_with_it(tmp_path)) == holding


@pytest.mark.parametrize("lead", ["", "u", "ab", "abc", "user:"])
def test_it_is_found_in_base64_wherever_it_begins(lead):
    assert OTHER.is_in(base64.b64encode(f"{lead}{OTHER.key}:behind".encode()))
    assert not CANARY.is_in(base64.b64encode(f"{lead}{OTHER.key}:behind".encode()))


def test_a_test_that_prints_or_logs_it_fails(pytester):
    pytester.makeconftest(
        f"""
        import pytest
        from tests.canary import Canary

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            Canary({OTHER.key!r}).judge(report)
            return report
        """
    )
    pytester.makepyfile(
        f"""
        import logging, sys
        def test_prints(): print("key", {OTHER.key!r})
        def test_logs(): logging.getLogger("x").warning("key %s", {OTHER.key!r})
        def test_tells(): print({OTHER.key!r}, file=sys.stderr)
        def test_is_quiet(): print("nothing")
        """
    )
    pytester.runpytest_inprocess("-p", "no:asyncio").assert_outcomes(passed=4, errors=3)


async def test_the_runtimes_of_the_suite_do_sign_with_it():
    async with staged(["yes"], api=MessagesApi(keys={CANARY.key: "default"})) as on:
        assert (await on.runtime.run(agent(), "hello")).output == "yes"
