"""SHOW: the ledger summed up, for people and for programs.

`formats` writes text for programs, `tables` draws for a terminal, `page` writes HTML out of `panels`. Rich is needed by
the tables only, and vl-convert by `drawing` only.
"""
