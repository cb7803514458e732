"""The record of what people did: a file in the state directory, and how an action is recorded."""
