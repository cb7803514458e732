"""One interface for every place where tasks run, and what both implementations share."""
