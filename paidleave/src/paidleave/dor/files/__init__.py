"""DOR's fixed-width and CSV files: formats, lines, columns."""
