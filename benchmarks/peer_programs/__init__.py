"""Programs that load the B lines of a wage file by other means; :mod:`benchmarks.peers` runs and measures them.

Each is a process with three arguments: the file, its fields as JSON, and a connection string of PostgreSQL.
"""
