"""What mends a finding, a file for each kind of edit; `table.py` says which mistake is mended by which."""
