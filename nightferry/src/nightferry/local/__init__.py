"""The embedded engine: everything that AWS does for the jobs, on one machine."""
