"""Synthesis: a catalog and an environment become Terraform files.

``synthesize`` takes a frozen catalog and an environment and returns the ``*.tf.json`` files as texts. Each file has a
module in this package. Synthesis does no I/O, so its output is byte-identical on any machine; ``files`` reads and
writes. ``monitoring`` builds the alarms and the dashboard, and ``reading`` evaluates the written files.
"""

from nightferry.terraform.files import Files, read, write
from nightferry.terraform.synthesis import synthesize

__all__ = ["Files", "read", "synthesize", "write"]
