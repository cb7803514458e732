"""How the embedded engine of an environment on this machine works: its limits, and how long it keeps what was.

The ``[engine]`` table of ``environments/NAME.toml`` holds it; every key has a default. ``docs/local-engine.md``
describes them.
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class EngineSettings(BaseModel):
    """Limits and retention of the embedded engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: int = Field(default=32, ge=1, le=10_000, description="Tasks that run at once; more wait their turn.")
    executions: int = Field(
        default=1000, ge=1, le=100_000, description="Executions that are worked on at once; more wait their turn."
    )
    drain_seconds: int = Field(
        default=300, ge=0, description="Seconds that a stop waits for running tasks before it stops them, too."
    )
    keep_days: int = Field(default=90, ge=1, description="Days that ended runs, executions and notifications stay.")
    keep_log_days: int = Field(default=30, ge=1, description="Days that the log lines of ended runs stay.")
    keep_runs: int = Field(default=100_000, ge=1, description="Ended runs that stay at most; the oldest go first.")
    keep_executions: int = Field(
        default=10_000, ge=1, description="Ended executions that stay at most; the oldest go first."
    )
    free_megabytes: int = Field(
        default=200, ge=0, description="Room on the state directory's disk below which /health says that it is short."
    )

    @property
    def keep(self) -> timedelta:
        """How long what has ended stays."""
        return timedelta(days=self.keep_days)

    @property
    def keep_logs(self) -> timedelta:
        """How long the log lines of ended runs stay."""
        return timedelta(days=min(self.keep_log_days, self.keep_days))
