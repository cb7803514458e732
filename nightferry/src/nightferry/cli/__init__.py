"""The command line: ``nightferry``. Each verb has a module with its options."""

from nightferry.cli.app import main

__all__ = ["main"]
