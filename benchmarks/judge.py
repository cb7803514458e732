"""Compare figures with their limits: a ratio has a minimum, and an amount has a maximum."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """A speed as a multiple of the speed of a peer that was measured in the same run."""

    name: str
    value: float
    minimum: float

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.2f} (at least {self.minimum:g})"

    @property
    def missed(self) -> bool:
        return self.value < self.minimum


@dataclass(frozen=True)
class Limit:
    """An amount, such as seconds or megabytes, with a maximum."""

    name: str
    value: float
    maximum: float
    unit: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.3g} {self.unit} (at most {self.maximum:g})"

    @property
    def missed(self) -> bool:
        return self.value > self.maximum


def judge(*figures: Ratio | Limit) -> None:
    """Print each figure. Exit with 1 if a figure misses its limit."""
    for figure in figures:
        print(figure)
    if missed := [figure.name for figure in figures if figure.missed]:
        raise SystemExit(f"Missed: {'; '.join(missed)}.")
