"""Bounds proven anew, by code that shares nothing with the solvers but the problem's data."""

from placement.verify.proof import BoundCheck, check_bound, proven_bound

__all__ = ["BoundCheck", "check_bound", "proven_bound"]
