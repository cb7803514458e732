"""All reference pages by their paths in the repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.reference import layouts, reasons, tasks, toolkit

PAGES: Mapping[str, Callable[[Path], str]] = {
    **toolkit.PAGES,
    "paidleave/docs/file-layouts.md": lambda _root: layouts.render(),
    "paidleave/docs/rejection-reasons.md": lambda _root: reasons.render(),
    "paidleave/docs/tasks.md": lambda root: tasks.render(root / "paidleave"),
}
"""Each page with the function that returns its text; the argument is the root of the repository."""
