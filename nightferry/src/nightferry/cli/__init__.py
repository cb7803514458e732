"""The command line: ``nightferry``. One verb, one file; its options stand beside it."""

from nightferry.cli.app import main

__all__ = ["main"]
