"""The contract of the backend interface: the same checks on both backends."""
