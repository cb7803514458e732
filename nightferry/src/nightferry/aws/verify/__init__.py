"""Checks that what the declarations refer to exists on AWS."""
