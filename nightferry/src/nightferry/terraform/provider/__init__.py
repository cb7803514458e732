"""A Terraform provider in Python with the schema and the planning rules of the AWS provider.

Terraform connects to it instead of hashicorp/aws and hashicorp/archive, so that it can plan without an AWS account. The
caller decides what a change does and where existing resources are found: :class:`~nightferry.terraform.provider.server.
Provider` has one method for each. ``nightferry.testing.aws_provider`` applies changes to an emulated AWS.
"""
