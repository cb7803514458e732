"""Judge figures: each ratio has a least value, each amount that the design bounds has a greatest one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """A speed as a multiple of that of a peer which was measured in the same run."""

    name: str
    value: float
    least: float

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.2f} (at least {self.least:g})"

    @property
    def missed(self) -> bool:
        return self.value < self.least


@dataclass(frozen=True)
class Limit:
    """An amount of seconds or megabytes that has a promised limit."""

    name: str
    value: float
    most: float
    unit: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.3g} {self.unit} (at most {self.most:g})"

    @property
    def missed(self) -> bool:
        return self.value > self.most


def judge(*figures: Ratio | Limit) -> None:
    """Print each figure; exit with 1 if one of them is missed."""
    for figure in figures:
        print(figure)
    if missed := [figure.name for figure in figures if figure.missed]:
        raise SystemExit(f"Missed: {'; '.join(missed)}.")
