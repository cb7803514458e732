"""How fast it is: every module is a command that prints figures and a ratio against a peer or a limit.

Peers and limits are measured in the same run, so that a slow or noisy machine changes both sides. Figures of the
old system are constants and labelled so.
"""
