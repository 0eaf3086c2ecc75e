"""RECORD -> EXPLAIN -> SUM UP: what the server billed, what it cost, and what it would have cost.

Pure: no clock, file or network. Whoever keeps rows is `stores`; whoever shows them is `report`.
"""
