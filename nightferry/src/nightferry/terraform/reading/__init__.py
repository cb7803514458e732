"""Read Terraform JSON back: parse expressions, evaluate them, expand modules, list what a plan would hold.

::

    syntax ─► values ─► expansion ─► inventory
                                 └─► diff

Only the part of the language that synthesis writes is evaluated. Any other expression stays as text.
"""
