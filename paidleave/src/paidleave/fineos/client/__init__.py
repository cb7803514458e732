"""Client of the FINEOS services."""
