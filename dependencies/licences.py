"""Under which licence a distribution is, by its own metadata, and which licences users are given."""

from __future__ import annotations

from importlib.metadata import Distribution

from packaging.licenses import canonicalize_license_expression
from packaging.utils import canonicalize_name

PERMISSIVE = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"})
"""What `pip install agentcache-claude` may bring, with any extra."""

ONLY_WITH_AN_EXTRA = {
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
    "regex": "Apache-2.0 AND CNRI-Python",
}
"""What only users of an extra get (`durable`, `exact`), with its licence; docs/dependencies.md says what follows."""

_OLDER_NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
}
"""How metadata from before SPDX expressions says it, where that leaves no doubt."""

_READ_ELSEWHERE = {"jinja2": "BSD-3-Clause", "vl-convert-python": "BSD-3-Clause"}
"""Where the metadata leaves it open: "BSD License" may be several, and vl-convert says it from 1.9.0.post1 on."""


def licence_of(distribution: Distribution) -> str | None:
    """Return the SPDX expression of a distribution, or `None` where its metadata says nothing that can be read as one.

    `License-Expression` first, which is checked when a distribution is uploaded; then the field `License` and the
    classifiers, which are not.
    """
    metadata = distribution.metadata
    classifiers = [line for line in metadata.get_all("Classifier", []) if line.startswith("License :: ")]
    written = [*metadata.get_all("License-Expression", []), *metadata.get_all("License", [])]
    if len(classifiers) == 1:  # of several nobody knows whether all hold or one may be chosen
        written.append(classifiers[0].split(" :: ")[-1])
    known = map(_spdx, written)
    found = next((each for each in known if each is not None), None)
    return found or _READ_ELSEWHERE.get(canonicalize_name(distribution.name))


def _spdx(written: str) -> str | None:
    try:
        return str(canonicalize_license_expression(_OLDER_NAMES.get(written.strip(), written.strip())))
    except ValueError:
        return None  # a whole text, or a name of the author's own: the next field may say it


def is_permissive(expression: str) -> bool:
    """Tell whether one of the alternatives of an SPDX expression asks for permissive licences only.

    Raises `ValueError` for an expression in brackets, which nothing that we bring has.
    """
    if "(" in expression:
        raise ValueError(f"{expression!r} has brackets; teach {__name__} to read them")
    return any(set(each.split(" AND ")) <= PERMISSIVE for each in expression.split(" OR "))
