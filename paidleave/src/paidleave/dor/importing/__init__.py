"""Import of received files: pipeline, staging, rejected lines and report."""
