"""What holds for the whole suite: it never reaches the real API unless it is told to.

The environment loses its credentials and its server, so that no mistake in a test can cost money. With `--live`,
tests marked `live` run too, and get them back by the fixture `real_credentials`; without it they are skipped.

No file that a test makes, and no line that it prints or logs, may hold the key that its runtimes sign with.

And whatever a test does, its ledgers must be what its emulators billed, call by call, unless it is marked with the
reason why they cannot be.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from agentcache.testing import LedgerGuard
from tests import canary

pytest_plugins = ["agentcache.testing.fixtures", "tests.postgresql"]

NAMES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_PROFILE",
)
SIGNING = canary.SigningWithIt()
TAKEN = pytest.StashKey[dict[str, str]]()

# Nothing here asserts time, and a busy machine is no fault of an example. CI tries the same examples every time, so
# that what it says is about the change, a third of what hypothesis would by itself, since there are hundreds of
# properties; every other run looks for a few new ones. Properties where more may hide ask for a multiple of it,
# `settings().max_examples`. `--hypothesis-profile thorough` looks longer.
_IN_CI = bool(os.environ.get("CI"))
_EXAMPLES = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=_IN_CI,
    max_examples=35 if _IN_CI else 12,
)
settings.register_profile("agentcache", _EXAMPLES)
settings.register_profile("thorough", _EXAMPLES, max_examples=1000)
settings.load_profile("agentcache")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", help="also run the tests that call the real API and cost money")
    parser.addoption("--slow", action="store_true", help="also the tests that take many seconds each, as CI does")
    parser.addoption("--long", action="store_true", help="also the long forms of what is proved by trying often")
    chaos = parser.getgroup("chaos", "runs on an account where much goes wrong (docs/faults.md)")
    chaos.addoption("--chaos-seed", default="1", help="what decides all that happens there [1]")
    chaos.addoption("--chaos-errands", type=int, help="also have so many errands done, 200 at once")
    chaos.addoption("--chaos-run", type=int, help="have this errand alone done")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A script that starts the suite behind itself (`make test &`) has it ignore Ctrl-C, which every process
        # inherits; some tests end theirs by it, and would wait for ever.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[TAKEN] = {name: value for name in NAMES if (value := os.environ.pop(name, None)) is not None}
    if not config.getoption("--live"):
        SIGNING.install()
        os.environ["ANTHROPIC_CUSTOM_HEADERS"] = canary.HEADER
        # No server outside is asked, nor may one be trusted; and a runtime would read the machine's authorities, which
        # takes 50 ms. This folder has none.
        os.environ.pop("SSL_CERT_FILE", None)
        os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    canary.CANARY.judge(report)
    return report


@pytest.fixture(scope="session", autouse=True)
def no_file_holds_the_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield
    found = [str(path) for path in canary.CANARY.files_with_it(tmp_path_factory.getbasetemp())]
    assert found == [], "these files hold the key that the suite signed with"


@pytest.fixture(autouse=True)
def signing_with_the_canary(request: pytest.FixtureRequest) -> None:
    SIGNING.active = request.node.get_closest_marker("own_keys") is None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = {
        "live": (config.getoption("--live"), "calls the real API and costs money; run with --live"),
        "slow": (config.getoption("--slow") or _IN_CI, "takes many seconds; `make check` and --slow run it"),
    }
    for marker, (asked_for, reason) in left_out.items():
        for item in items:
            if not asked_for and item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # Half a million objects of modules and tests stay to the end: no collection of garbage needs to go through them.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def real_credentials(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = pytestconfig.stash[TAKEN]
    if not taken.get("ANTHROPIC_API_KEY"):
        pytest.fail("--live calls the real API, and ANTHROPIC_API_KEY is not set")
    for name, value in taken.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def ledger_equals_statement(request: pytest.FixtureRequest, ledger_guard: LedgerGuard) -> None:
    marker = request.node.get_closest_marker("other_books")
    if marker is not None:
        ledger_guard.excuse(marker.args[0])
