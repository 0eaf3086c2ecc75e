from __future__ import annotations

import json
from decimal import Decimal

from typer.testing import CliRunner

from agentcache.cli import app
from agentcache.prompt.model_facts import all_facts

RUNNER = CliRunner()


def test_the_table_has_a_line_for_every_model() -> None:
    result = RUNNER.invoke(app, ["models"])

    assert result.exit_code == 0
    first_words = [line.split()[0] for line in result.stdout.splitlines()]
    assert [facts.model for facts in all_facts()] == first_words[1:]


def test_the_json_form_has_every_fact_with_prices_as_decimal_text() -> None:
    result = RUNNER.invoke(app, ["models", "--format", "json"])

    models = json.loads(result.stdout)
    for model, facts in zip(models, all_facts(), strict=True):
        assert model["model"] == facts.model
        assert model["minimum_prefix_tokens"] == facts.minimum_prefix_tokens
        assert model["source"] == facts.source
        for period, known in zip(model["prices"], facts.prices, strict=True):
            assert Decimal(period["prices"]["read_usd"]) == known.prices.read_usd
