"""Check before paying: what in a prompt would break the cache, found in what its author wrote."""
