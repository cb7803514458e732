"""Names of the modules that tests write."""

from pathlib import Path

_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def module_name(prefix: str, folder: Path) -> str:
    """Return a name that only this folder's module has in this process.

    It has no digits, because messages that name the module's file mask nine digits in a row, as in an SSN.
    """
    return f"{prefix}_{abs(hash(str(folder))):x}".translate(_LETTERS)
