"""Read Terraform JSON: parse and evaluate expressions, expand modules, and list the resources of a plan.

::

    syntax ─► values ─► expansion ─► inventory
                                 └─► diff

Only the subset of the language that synthesis writes is evaluated. Any other expression remains text.
"""
