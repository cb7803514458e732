"""The prices of a region: the dated table ``prices.json``, and the environment's own prices in their place.

Every entry of the table has the date of its source. A price that no source confirms is not in the table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from nightferry.environments.environment import Environment

Architecture = Literal["x86", "arm"]
ARCHITECTURES: tuple[Architecture, ...] = ("x86", "arm")
ARCHITECTURE_NAMES: dict[Architecture, str] = {"x86": "x86", "arm": "Arm"}

DEFAULT_REGION = "us-east-1"
"""The region of an environment that runs on this machine."""


@dataclass(frozen=True)
class Prices:
    """The known prices of a region in U.S. dollars by key, and the source of each with its date.

    The keys are those of the environment's ``[costs]``: :class:`nightferry.environments.cost_settings.CostSettings`.
    """

    region: str
    values: Mapping[str, float]
    sources: Mapping[str, str] = field(default_factory=dict)

    def find(self, *keys: str) -> list[float] | None:
        """Return the prices of these keys, or None if one is not known."""
        found = [self.values[key] for key in keys if key in self.values]
        return found if len(found) == len(keys) else None

    def explain_missing(self, *keys: str) -> str:
        """Return a sentence about the prices of these keys that are not known."""
        missing = [key for key in keys if key not in self.values]
        return f"no price for region {self.region}: set {' and '.join(missing)} in [costs]"


def find_prices(environment: Environment) -> Prices:
    """Return the prices of an environment."""
    return build_prices(find_region(environment), environment.costs.prices, f"[costs] of {environment.file}")


def find_region(environment: Environment) -> str:
    """Return the region whose prices apply to an environment."""
    own = environment.aws.region if environment.aws is not None else DEFAULT_REGION
    return environment.costs.region or own


def build_prices(region: str, own: Mapping[str, float], own_source: str = "[costs]") -> Prices:
    """Return the prices of a region, with an environment's ``own`` prices in place of those of the table."""
    values: dict[str, float] = {}
    sources: dict[str, str] = {}
    for source, regions in _read_table().items():
        entry = regions.get(region, {})
        found = {key: float(value) for key, value in entry.items() if key != "date"}
        values |= found
        sources |= dict.fromkeys(found, f"{source} of {entry.get('date')}")
    return Prices(region, {**values, **own}, sources | dict.fromkeys(own, own_source))


@cache
def _read_table() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the table: source → region → prices by key, and their date."""
    return dict(json.loads(files(__package__).joinpath("prices.json").read_text(encoding="utf-8")))
