"""The layer and the place in a template of a system block that changed, in a log that says what its sections are."""

from __future__ import annotations

from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.prompt.provenance import SectionChange, first_change


def section_parting(call: LoggedCall, parent: LoggedCall | None, where: str) -> tuple[str | None, SectionChange | None]:
    """Return the layer of the block at `where`, and where its section parts from the one of that name in `parent`."""
    now = next((section for section in call.sections if section.where == where), None)
    if now is None:
        return None, None
    earlier = () if parent is None else parent.sections
    before = next((section for section in earlier if section.section == now.section), None)
    if before is None or before.made_of is None or now.made_of is None:
        return now.layer, None
    return now.layer, None if before.made_of.digest == now.made_of.digest else first_change(before.made_of, now.made_of)
