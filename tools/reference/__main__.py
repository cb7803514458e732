"""Write the reference pages: ``python -m tools.reference``, or make reference."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.reference.pages import PAGES

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Write each page that has changed, and print its path."""
    for path, render in PAGES.items():
        file = ROOT / path
        text = render(ROOT)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
