"""Catalog + environment → Terraform.

``synthesize`` reads one frozen catalog and one environment and returns the texts of a directory of ``*.tf.json`` files:
one module of this package for each file. It does no I/O, so that two runs are byte-identical on any machine; ``files``
reads and writes. ``monitoring`` holds alarms and the dashboard, ``reading`` reads the files back.
"""

from nightferry.terraform.files import Files, read, write
from nightferry.terraform.synthesis import synthesize

__all__ = ["Files", "read", "synthesize", "write"]
