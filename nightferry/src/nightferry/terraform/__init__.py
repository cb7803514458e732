"""Catalogue + environment → Terraform.

``synthesize`` reads one frozen catalogue and one environment and answers a directory of ``*.tf.json`` files: one
module of this room for each concern, one file for each module. Nothing here does I/O, so that two runs are
byte-identical on any machine.
"""

from nightferry.terraform.files import Files, read, write
from nightferry.terraform.synthesis import synthesize

__all__ = ["Files", "read", "synthesize", "write"]
