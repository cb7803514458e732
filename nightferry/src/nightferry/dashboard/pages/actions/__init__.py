"""The pages that act, and the record of actions."""
