"""JSON, YAML and CSV as plain data, and back, never losing anything without a word."""
