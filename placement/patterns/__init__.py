"""Placement by server patterns: column generation for clusters of any size (DESIGN 5.2)."""

from placement.patterns.bottleneck import pattern_bottleneck
from placement.patterns.certificate import recompute_bound
from placement.patterns.search import solve_patterns

__all__ = ["pattern_bottleneck", "recompute_bound", "solve_patterns"]
