"""The embedded engine: everything that AWS does for the jobs, on one machine.

A program that drives the engine itself, as a demo does, imports these names; they are loaded when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightferry.local.backend import LocalBackend
    from nightferry.local.engine.engine import is_running
    from nightferry.local.services.services import Services

__all__ = ["LocalBackend", "Services", "is_running"]

_MODULES = {
    "LocalBackend": "nightferry.local.backend",
    "Services": "nightferry.local.services.services",
    "is_running": "nightferry.local.engine.engine",
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name, so that a part of the engine does not load all of it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
