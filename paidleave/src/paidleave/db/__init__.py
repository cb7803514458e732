"""The Paid Leave database: tables, migrations and connections."""
