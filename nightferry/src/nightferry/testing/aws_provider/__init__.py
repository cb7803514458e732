"""Terraform's AWS provider on an emulated AWS, such as moto's server: apply, plan and destroy with Terraform itself.

``services/`` has one module per AWS service, with one class per resource type: the calls that hashicorp/aws makes to
create, read, update and delete a resource. A read returns what the emulated AWS has. It gets the attributes that
identify the resource and nothing else of the state, so that each difference from the configuration shows in a plan.
"""
