"""The pages of one execution: the overview, a state, and the items of a Map."""
