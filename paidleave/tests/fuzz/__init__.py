"""The parsers and readers of the jobs, and their fuzz."""
