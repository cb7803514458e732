"""Checks that the resources to which the declarations refer exist on AWS."""
