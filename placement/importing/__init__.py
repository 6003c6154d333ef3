"""Workloads taken from the files of other tools: traces, graphs, lists of models."""
