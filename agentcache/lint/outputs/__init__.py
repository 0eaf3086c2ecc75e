"""What a lint run is told in: text, JSON, SARIF, GitHub annotations, statistics. Pure: values in, text out."""
