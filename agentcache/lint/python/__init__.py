"""Agents that a Python file declares, read from its text: nothing is imported and nothing runs."""
