"""The ``[engine]`` table of ``environments/NAME.toml``: limits and retention of the local engine.

Every key has a default.
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class EngineSettings(BaseModel):
    """Limits and retention of the local engine."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    concurrency: int = Field(default=32, ge=1, le=10_000, description="Tasks that run at once; others wait.")
    executions: int = Field(
        default=1000, ge=1, le=100_000, description="Executions that are active at once; others wait."
    )
    drain_seconds: int = Field(
        default=300,
        ge=0,
        description="Seconds for which a stop of the engine waits for running tasks before it stops them.",
    )
    keep_days: int = Field(
        default=90, ge=1, description="Days to retain ended runs, executions, notifications and records of starts."
    )
    keep_log_days: int = Field(
        default=30, ge=1, description="Days to retain the log lines of ended runs, at most keep_days."
    )
    keep_action_days: int = Field(default=400, ge=1, description="Days to retain the record of what people did.")
    keep_runs: int = Field(
        default=100_000,
        ge=1,
        description="Largest number of ended runs outside executions to retain; the oldest are deleted first.",
    )
    keep_executions: int = Field(
        default=10_000,
        ge=1,
        description="Largest number of ended executions to retain, with their runs and histories; the oldest are "
        "deleted first.",
    )
    free_megabytes: int = Field(
        default=200,
        ge=0,
        description="Megabytes of free space on the state directory's disk below which /health reports a problem.",
    )

    @property
    def retention(self) -> timedelta:
        """The time for which to retain ended runs, executions and notifications."""
        return timedelta(days=self.keep_days)

    @property
    def log_retention(self) -> timedelta:
        """The time for which to retain the log lines of ended runs."""
        return timedelta(days=min(self.keep_log_days, self.keep_days))

    @property
    def action_retention(self) -> timedelta:
        """The time for which to retain the record of what people did."""
        return timedelta(days=self.keep_action_days)
