"""The bill of materials: valid CycloneDX, the same bytes each time, what users get and nothing of this machine."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from dependencies.bill_of_materials import bill_of_materials


@pytest.fixture(scope="module")
def bill() -> str:
    return bill_of_materials()


@pytest.fixture(scope="module")
def document(bill: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(bill)
    return parsed


def component(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {each["name"]: each for each in document["components"]}
    return found[name]


def test_it_is_valid(bill: str):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None


def test_the_same_environment_gives_the_same_bytes(bill: str):
    assert bill_of_materials() == bill


def test_it_tells_what_everybody_gets_from_what_an_extra_brings(document: dict[str, Any]):
    assert component(document, "anthropic")["scope"] == "required"
    assert component(document, "dbos")["scope"] == "optional"
    assert component(document, "dbos")["properties"] == [{"name": "agentcache:extra", "value": "durable"}]


def test_tools_for_development_are_not_in_it(document: dict[str, Any]):
    names = {each["name"] for each in document["components"]}
    assert names & {"pytest", "mypy", "ruff", "hatchling", "cyclonedx-python-lib", "pip"} == set()


@pytest.mark.pinned
def test_each_component_has_a_licence_and_a_package_url(document: dict[str, Any]):
    for each in document["components"]:
        assert each["licenses"]
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"


def test_a_requirement_of_an_extra_that_nobody_asked_for_is_no_edge(document: dict[str, Any]):
    edges = {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}
    of_sqlalchemy = {need.partition("@")[0] for need in edges[component(document, "sqlalchemy")["purl"]]}
    assert of_sqlalchemy == {"pkg:pypi/greenlet", "pkg:pypi/typing-extensions"}  # mypy, asyncpg, psycopg are here too


def test_it_says_nothing_of_this_machine_but_its_kind(bill: str):
    assert sys.prefix not in bill
    assert "file:" not in bill


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="ctok is installed where there is a Python for it")
def test_what_this_python_leaves_out_is_named(document: dict[str, Any]):
    properties = document["metadata"]["properties"]
    [left_out] = [each["value"] for each in properties if each["name"] == "agentcache:left-out"]
    assert left_out.startswith("ctok")
