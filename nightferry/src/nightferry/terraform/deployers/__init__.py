"""The policies of people and of the two roles that work with an environment's Terraform: one deploys it, one plans it.

::

    resources of the environment ─► calls of the provider ┐
                                    calls of the commands ┴─► statements by target ─► documents within IAM's limits
"""
