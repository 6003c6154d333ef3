"""A trace run over a plan by real servers, with the policies, log and metrics of the simulator."""
