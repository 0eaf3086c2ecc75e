"""The review team without a model: the script that answers in its place, and the static checks behind it."""
