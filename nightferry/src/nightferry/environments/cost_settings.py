"""The ``[costs]`` table of ``environments/NAME.toml``: prices that replace those of the table of ``nightferry costs``.

All prices are in U.S. dollars, as in AWS's price lists.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CostSettings(BaseModel):
    """Prices of an environment in U.S. dollars, for regions without a price in the table, discounts and new prices."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    region: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-\d$",
        description="Region of the prices. Default: aws.region; us-east-1 for an environment without [aws].",
    )
    fargate_vcpu_hour: float | None = Field(default=None, ge=0, description="Fargate, x86: one vCPU for an hour.")
    fargate_gb_hour: float | None = Field(default=None, ge=0, description="Fargate, x86: one GB of memory for an hour.")
    fargate_arm_vcpu_hour: float | None = Field(default=None, ge=0, description="Fargate, Arm: one vCPU for an hour.")
    fargate_arm_gb_hour: float | None = Field(
        default=None, ge=0, description="Fargate, Arm: one GB of memory for an hour."
    )
    fargate_storage_gb_hour: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Fargate: one GB of ephemeral storage above 20 GB for an hour.",
    )
    states_thousand_transitions: float | None = Field(
        default=None, ge=0, description="Step Functions, Standard: 1,000 state transitions."
    )
    logs_gb: float | None = Field(default=None, ge=0, description="CloudWatch Logs: one GB of lines that tasks write.")
    logs_storage_gb_month: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="CloudWatch Logs: one compressed GB that is stored for a month.",
    )

    @property
    def prices(self) -> dict[str, float]:
        """The prices that the environment sets, by key."""
        return {key: value for key, value in self.model_dump(exclude={"region"}).items() if value is not None}
