"""DOR's fixed-width and CSV files: formats and readers."""
