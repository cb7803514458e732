"""The pages of runs: the list, one run, and its log."""
