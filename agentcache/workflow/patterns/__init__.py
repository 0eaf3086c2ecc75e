"""Ways to let agents work together that are worth a helper: they keep a prefix constant, a budget whole or a type true.

Everything else is Python over `run.ask`, `run.map` and `run.gather`; `docs/patterns.md` has them all.
"""
