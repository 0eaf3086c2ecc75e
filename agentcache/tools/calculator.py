"""The calculator as a tool. What an expression may hold and how it is worked out is in `arithmetic.py`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agentcache.runtime.tools import tool
from agentcache.tools.arithmetic import evaluate

_VERSION = "1"
"""Changed when an expression gets another answer, so that a kept one is not given out."""


@tool(deterministic=True, version=_VERSION)
async def calculator(
    expression: Annotated[
        str,
        Field(
            description="An arithmetic expression, such as (3 + 4.5) * 2 ** 10 / 7. Operators: + - * / // % **. "
            "Functions: abs, ceil, comb, exp, factorial, floor, gcd, lcm, ln, log(x, base), log10, log2, max, min, "
            "round(x, digits), sqrt. Constants: pi, e."
        ),
    ],
) -> str:
    """Work out an arithmetic expression exactly: 0.1 + 0.2 is 0.3. A result that had to be rounded says so."""
    return evaluate(expression)
