"""What steers the searches, as checked data: rounds, parts of the time, sizes, and why."""
