"""What sections are made of, in a database: each function is one transaction's work on a connection."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, func, select
from sqlalchemy import delete as delete_from

from agentcache.prompt.provenance import Provenance, provenance_from_json
from agentcache.stores.inserts import insert_or_change
from agentcache.stores.protocols import PROVENANCE_NOTED_S
from agentcache.stores.schema import calls, section_provenance
from agentcache.stores.sql_selection import portions


def keep(connection: Connection, sections: Sequence[Provenance], used_at: float) -> int:
    """Keep sections that are not there, note the time at those that are, and return how many there were."""
    statement = insert_or_change("section_provenance", connection.dialect.name, key=("digest",), changing=("used_at",))
    # In one order, so that two programs that keep the same ones do not wait for each other crosswise.
    ordered = sorted({section.digest: section for section in sections}.values(), key=lambda section: section.digest)
    rows = [{"digest": item.digest, "used_at": used_at, "made_of": item.to_json()} for item in ordered]
    if rows:
        connection.execute(statement, rows)
    return len(rows)


def kept(connection: Connection, digests: Collection[str]) -> dict[str, Provenance]:
    """Return sections by digest."""
    found: dict[str, Provenance] = {}
    for portion in portions(sorted(digests)):
        asked = select(section_provenance.c.digest, section_provenance.c.made_of)
        for row in connection.execute(asked.where(section_provenance.c.digest.in_(portion))):
            found[row.digest] = provenance_from_json(row.made_of)
    return found


def prune(connection: Connection, before: float) -> None:
    """Remove sections that were last sent before all calls that are left, and before `before`."""
    oldest = connection.execute(select(func.min(calls.c.sent_at))).scalar_one()
    kept_from = min(before, before if oldest is None else oldest) - PROVENANCE_NOTED_S
    connection.execute(delete_from(section_provenance).where(section_provenance.c.used_at < kept_from))
