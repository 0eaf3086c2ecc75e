"""Renders templates that nobody vouches for: an interpreter of Jinja's syntax trees that counts what it does.

Nothing here becomes Python code. A template reaches the values that it is given, their parts, and the functions that
stand in this room by name; each step costs, each text is measured before it is made, and what costs too much ends.
"""
