"""The job fineos-import-la-units."""
