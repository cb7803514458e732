"""The state of a running machine, and what each event of a history changes in it."""
