"""What the verbs share: options, tables, following a run.

A program that shows runs in a terminal itself, as a demo does, imports these names; they are loaded when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightferry.cli.terminal.follow import follow_execution
    from nightferry.cli.terminal.lines import duration, pretty
    from nightferry.cli.terminal.watch import Seen, Watcher

__all__ = ["Seen", "Watcher", "duration", "follow_execution", "pretty"]

_MODULES = {
    "Seen": "nightferry.cli.terminal.watch",
    "Watcher": "nightferry.cli.terminal.watch",
    "duration": "nightferry.cli.terminal.lines",
    "follow_execution": "nightferry.cli.terminal.follow",
    "pretty": "nightferry.cli.terminal.lines",
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name, so that a verb loads only what it needs."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
