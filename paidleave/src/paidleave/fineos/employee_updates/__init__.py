"""The job fineos-import-employee-updates."""
