"""Searches that begin with a placement and look for a better one near it."""
