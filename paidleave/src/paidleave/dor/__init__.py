"""Files of the Department of Revenue (DOR): formats, readers, generator and imports."""
