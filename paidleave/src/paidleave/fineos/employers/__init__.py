"""The job load-employers-to-fineos."""
