"""The client of FINEOS's services."""
