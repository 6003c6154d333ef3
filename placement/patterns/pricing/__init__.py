"""What one server can hold that is worth most at given duals: pricing problems."""
