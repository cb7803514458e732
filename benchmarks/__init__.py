"""How fast it is: every module is a command that prints figures and a ratio against a peer or a limit.

A ratio is computed only against a peer that is measured in the same run, so that a slow or noisy machine changes both
sides.
"""
