"""SHOW: the ledger summed up, for people and for programs.

`formats` writes text for programs; `tables` draws for a terminal and is the only module here that needs rich.
"""
