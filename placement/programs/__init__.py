"""Integer and linear programs over one placement: routing, coverage, bottleneck, balance."""
