"""Names of the modules that tests write."""

from pathlib import Path


def module_name(prefix: str, folder: Path) -> str:
    """Return a name that only this folder's module has in this process."""
    return f"{prefix}_{abs(hash(str(folder))):x}"
