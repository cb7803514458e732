"""The pages of executions: the list, one execution, a state, and the items of a Map."""
