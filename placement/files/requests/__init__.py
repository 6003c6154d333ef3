"""Request traces: columns from records or tables, checked and laid end to end."""
