"""Verbs around Terraform and environments."""
