"""KEEP: the ledger and the conversations, in a database that a URL names.

`opening.open_ledger` is the door. Only `sql.py`, `schema.py` and `migrations.py` know SQLAlchemy, and they are loaded
when a database is opened, not before.
"""
