"""The parsers and readers of the toolkit, and their fuzz."""
