"""A trace run over a plan, event by event, and what the run was worth."""
