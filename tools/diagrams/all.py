"""All diagrams, and the command that writes them."""

from __future__ import annotations

from pathlib import Path

from tools.diagrams import etl, file_life, infrastructure, packages, paths, run_states
from tools.diagrams.figure import draw

OUT = Path(__file__).resolve().parents[2] / "docs" / "diagrams"


def make_all() -> dict[str, str]:
    """Return the texts of all diagrams by file name."""
    figures = [
        packages.build("packages", "nightferry"),
        packages.build("packages-paidleave", "paidleave", frozenset({"dor", "fineos"})),
        run_states.build(),
        *infrastructure.build(),
        *paths.build(),
        file_life.build(),
    ]
    return {f"{figure.name}.svg": str(draw(figure)) for figure in figures} | {f"{etl.NAME}.svg": str(etl.draw())}


def main() -> None:
    """Write the diagrams."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, text in make_all().items():
        (OUT / name).write_text(text, encoding="utf-8")
