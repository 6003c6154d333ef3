"""What a log of real executions says of the simulated GPUs, and how far a simulation is off."""
