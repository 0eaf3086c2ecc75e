"""Why calls of recorded sessions read less than the call that they carry on had left: shares per cause, by family.

    python benchmarks/recorded_shortfalls.py FILE [FILE ...]

A file of traces (format in the shared data's README) is a family; its calls have bills, times and kinds of blocks, and
no requests, so `agentcache.accounting.shortfalls` decides, as for `agentcache explain --log FILE`. A `.json` file of
recorded requests and responses (the golden records; one session a file) is explained as the request log that it is.
This program only counts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from agentcache.accounting.explaining.explanation import explain_calls
from agentcache.accounting.observed import Event
from agentcache.accounting.shortfall_findings import CODES
from agentcache.accounting.shortfalls import Certainty, ShortCause, Shortfall, followed, shortfalls
from agentcache.accounting.usage import CallRecord
from agentcache.simulate.explained_logs import logged_calls
from agentcache.simulate.log_rows import TracedCalls
from agentcache.simulate.traffic import json_lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    files: list[Path] = parser.parse_args().files
    golden = [path for path in files if ".jsonl" not in path.name]
    families = {path.name.split(".")[0]: traced(path) for path in files if path not in golden}
    together = [call for calls in families.values() for call in calls]
    if together:
        fell = shortfalls(together)  # lengths that sessions of another file found are heads, too
        family_of = {call.call_id: name for name, calls in families.items() for call in calls}
        parts = [(name, [each for each in fell if family_of[each.call.call_id] == name]) for name in families]
        for name, found in parts:
            tell_family(name, families[name], found)
        tell_causes(fell, parts)
        tell_events(fell)
    for path in golden:
        tell_golden(path)


def traced(path: Path) -> list[CallRecord]:
    reading = TracedCalls()
    for number, line in json_lines(path):
        reading.take(line, where=f"{path.name}, line {number}")
    return list(reading.rows().calls)


def tell_family(name: str, calls: Sequence[CallRecord], found: Sequence[Shortfall]) -> None:
    lost = sum(each.lost_tokens for each in found)
    print(
        f"{name}: {sum(call.usage is not None for call in calls):,} calls with usage, "
        f"{followed(calls):,} carry another on; "
        f"{len(found):,} fell short, by {lost:,} tokens"
    )


def tell_causes(found: Sequence[Shortfall], by_family: Sequence[tuple[str, Sequence[Shortfall]]]) -> None:
    whole = tokens(found)
    names = " | ".join(name for name, _ in by_family)
    print(f"\n| cause | code | {names} | calls | share of calls | share of tokens |")
    print("|---|---|" + "---:|" * (len(by_family) + 3))
    for cause, _ in Counter(each.cause for each in found).most_common():
        of = [each for each in found if each.cause is cause]
        each_family = " | ".join(str(sum(each.cause is cause for each in part)) for _, part in by_family)
        print(
            f"| `{cause}` | {CODES.get(cause, '')} | {each_family} | {len(of):,} | {len(of) / len(found):.1%} "
            f"| {tokens(of) / whole:.1%} |"
        )
    for certainty in Certainty:
        of = [each for each in found if each.certainty is certainty]
        each_family = " | ".join(str(sum(each.certainty is certainty for each in part)) for _, part in by_family)
        print(
            f"| {certainty} | | {each_family} | {len(of):,} | {len(of) / len(found):.1%} | {tokens(of) / whole:.1%} |"
        )


def tell_events(found: Sequence[Shortfall]) -> None:
    """Tell what the client did before calls whose cause was narrowed down and no further."""
    narrowed = [each for each in found if each.certainty is Certainty.NARROWED]
    counted = Counter(event for each in narrowed for event in each.events)
    told = ", ".join(f"{event} {counted[event]}" for event in Event if counted[event])
    print(f"\nOf {len(narrowed)} narrowed calls, {sum(bool(each.events) for each in narrowed)} have events: {told}")
    shared = Counter(each.cause for each in narrowed if each.events)
    print(", ".join(f"{cause} {count}" for cause, count in shared.items() if cause is not ShortCause.UNEXPLAINED))


def tell_golden(path: Path) -> None:
    raw = path.read_bytes()
    records: list[dict[str, Any]] = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    lines = [json.dumps({"t": each["t"], "request": each["request"], "response": each["response"]}) for each in records]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        log.write_text("\n".join(lines))
        calls = logged_calls(log)
    print(f"\n{path.name}: {len(calls)} calls, requests recorded")
    for each in explain_calls(calls):
        print(f"{each.code} at {each.where} ({each.cause}): {each.calls} calls, {each.lost_tokens or 0:,} tokens lost")


def tokens(found: Iterable[Shortfall]) -> int:
    return sum(each.lost_tokens for each in found)


if __name__ == "__main__":
    main()
