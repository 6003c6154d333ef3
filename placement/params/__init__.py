"""What steers the searches, as checked data: rounds, parts of the time, sizes, and why.

Their modules evaluate annotations at once: as texts, they took long to read at every start.
"""
