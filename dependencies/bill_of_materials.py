"""Writes a software bill of materials in CycloneDX's JSON: `python -m dependencies.bill_of_materials FILE`.

It lists what `pip install 'agentcache-claude[every extra]'` has put here, ours first, each with version, licence,
package URL and what it needs. `scope` is `required` for what everybody gets and `optional` for what an extra brings;
the property `agentcache:extra` says which. No tools for development, no time, no path and no
random number: the same environment gives the same bytes.

`cyclonedx-py environment` is not used: it lists everything that is installed, tools included, and takes a requirement
of an extra that nobody asked for as an edge wherever its package happens to be installed.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import NormalizedName

from dependencies.installed import OURS, Installed, extras_of_users, left_out, needed
from dependencies.licences import licence_of


def bill_of_materials() -> str:
    """Return the bill as CycloneDX 1.6 JSON. Raises `PackageNotFoundError` where an extra is not installed."""
    extras = extras_of_users()
    everything = needed(OURS, extras)
    required = needed(OURS)
    brought_by = {extra: needed(OURS, [extra]).keys() - required.keys() for extra in extras}
    components = {
        name: _component(
            installed,
            scope=ComponentScope.REQUIRED if name in required else ComponentScope.OPTIONAL,
            properties=[("agentcache:extra", extra) for extra in extras if name in brought_by[extra]],
        )
        for name, installed in everything.items()
    }
    return _written(components, everything, left_out(extras))


def _component(installed: Installed, *, scope: ComponentScope, properties: list[tuple[str, str]]) -> Component:
    name, version = installed.name, installed.distribution.version
    licence = licence_of(installed.distribution)
    purl = PackageURL(type="pypi", name=name, version=version)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=str(purl),
        purl=purl,
        scope=None if name == OURS else scope,
        description=next(iter(installed.distribution.metadata.get_all("Summary", [])), None),
        licenses=[] if licence is None else [_licence(licence)],
        properties=[Property(name=key, value=value) for key, value in properties],
    )


def _licence(expression: str) -> DisjunctiveLicense | LicenseExpression:
    is_one = not {"AND", "OR", "WITH"} & {*expression.split()}
    return DisjunctiveLicense(id=expression) if is_one else LicenseExpression(expression)


def _written(
    components: Mapping[NormalizedName, Component],
    everything: Mapping[NormalizedName, Installed],
    absent: list[str],
) -> str:
    references = sorted(str(component.purl) for component in components.values())
    bom = Bom(
        components=[component for name, component in components.items() if name != OURS],
        serial_number=uuid5(NAMESPACE_URL, "\n".join(references)),
    )
    bom.metadata.component = components[OURS]
    bom.metadata.properties.add(Property(name="agentcache:python", value=platform.python_version()))
    bom.metadata.properties.add(Property(name="agentcache:platform", value=f"{sys.platform} {platform.machine()}"))
    bom.metadata.properties.update(Property(name="agentcache:left-out", value=each) for each in absent)
    for name, installed in everything.items():
        bom.register_dependency(components[name], [components[need] for need in installed.needs if need != name])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]  # which the model insists on
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(bill_of_materials(), encoding="utf-8")
