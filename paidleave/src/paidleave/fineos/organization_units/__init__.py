"""fineos-import-la-units."""
