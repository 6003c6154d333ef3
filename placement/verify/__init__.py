"""Bounds proven anew, by code that shares nothing with the solvers but the problem's data."""

from placement.verify.bottleneck import BottleneckCheck, check_bottleneck
from placement.verify.proof import BoundCheck, check_bound, proven_bound

__all__ = ["BottleneckCheck", "BoundCheck", "check_bottleneck", "check_bound", "proven_bound"]
