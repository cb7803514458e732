"""The jobs of the example."""

from __future__ import annotations

from typing import TypedDict

from pydantic import Field, SecretStr

from nightferry import JobSettings, Run, background_task


class PlanSettings(JobSettings):
    """Find the regions whose orders must be loaded."""

    day: str = Field(default="", description="Day to load")


class Plan(TypedDict):
    """The regions, and the number of their orders."""

    regions: list[str]
    orders: int


@background_task("plan-orders", PlanSettings)
def plan(settings: PlanSettings, run: Run) -> Plan:
    """Return the regions."""
    return {"regions": ["eu", "us"], "orders": 12}


class LoadSettings(JobSettings):
    """Load the orders of a region from files."""

    folder: str = Field(description="Folder of the files")
    region: str = Field(default="eu", description="Region of the orders")
    day: str = Field(description="Day to load")
    api_key: SecretStr = Field(description="Key of the orders API")


@background_task("load-orders", LoadSettings)
def load(settings: LoadSettings, run: Run) -> None:
    """Load the orders."""
