"""Tools for operators: database users, SQL queries, consistency checks, and SFTP transfers."""
