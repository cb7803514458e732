"""Benchmarks. Each module is a command that prints figures, and ratios to a peer or a limit.

The peer of a ratio is measured in the same run, so that a slow or busy machine affects both sides.
"""
