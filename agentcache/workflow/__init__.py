"""Orchestrate many agents: runs that nest, fan-out that warms a prefix once, budgets."""
