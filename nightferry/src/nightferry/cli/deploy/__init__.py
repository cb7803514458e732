"""The verbs for Terraform and environments."""
