"""Columns of fixed rates: a thin master that is kept warm, and compiled pricing for it."""
