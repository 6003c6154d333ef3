"""The event loops: written to be read, which is the specification, and compiled."""
