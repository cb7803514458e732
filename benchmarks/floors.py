"""Floors: the least that a speed may be, told with each figure."""

from __future__ import annotations


def judge(*figures: tuple[str, float, float]) -> None:
    """Print each figure (name, value, floor) and exit with 1 if one is below its floor."""
    missed = []
    for name, value, floor in figures:
        print(f"{name}: {value:.2f} (floor {floor:g})")
        if value < floor:
            missed.append(name)
    if missed:
        raise SystemExit(f"Below the floor: {'; '.join(missed)}.")
