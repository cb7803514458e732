"""The reference pages of the toolkit by their paths in the repository. They need no other project."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.reference import catalog, commands, environments, job_settings

FOLDER = "nightferry/docs/reference"

PAGES: Mapping[str, Callable[[Path], str]] = {
    f"{FOLDER}/catalog.md": lambda _root: catalog.render(),
    f"{FOLDER}/commands.md": lambda _root: commands.render(),
    f"{FOLDER}/environments.md": environments.render,
    f"{FOLDER}/job-settings.md": lambda _root: job_settings.render(),
}
"""Each page with the function that returns its text; the argument is the root of the repository."""
