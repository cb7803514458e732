"""The settings of the jobs. Each field is an environment variable and an option.

They are not in jobs.py, because the commands import this module, but no job.
"""

from __future__ import annotations

from nightferry import JobSettings
from pydantic import Field


class HelloSettings(JobSettings):
    """Greet someone."""

    who: str = Field(description="Name to greet")
    times: int = Field(default=1, ge=1, le=100, description="Number of greetings")
