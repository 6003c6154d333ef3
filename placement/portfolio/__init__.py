"""Every method under its own name; the best is where the integer program starts."""
