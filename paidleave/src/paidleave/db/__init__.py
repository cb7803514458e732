"""The Paid Leave database: its tables, its migrations, connections to it."""
