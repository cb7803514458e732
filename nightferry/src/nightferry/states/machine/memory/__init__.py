"""The state of a running machine, and the functions that apply events to it."""
