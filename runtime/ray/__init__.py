"""Ray as the engine beyond one machine: replicas as its actors, and work spread over its nodes."""
