"""The one door to PuLP and its solvers, and to the clock."""
