"""The background jobs of my-project."""
