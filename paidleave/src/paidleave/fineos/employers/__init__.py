"""load-employers-to-fineos."""
