"""The command `gswarm-place`: a module for each command, and views over results."""
