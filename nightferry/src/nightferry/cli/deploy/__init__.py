"""The verbs for Terraform and deployments."""
