"""The command line: ``longshore``. One verb, one file; its options stand beside it."""

from longshore.cli.app import main

__all__ = ["main"]
