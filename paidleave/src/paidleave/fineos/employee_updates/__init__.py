"""fineos-import-employee-updates."""
