"""Placement by server patterns: column generation for clusters of any size."""

from placement.patterns.aggregate_bottleneck import pattern_bottleneck
from placement.patterns.search import solve_patterns

__all__ = ["pattern_bottleneck", "solve_patterns"]
