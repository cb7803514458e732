"""A settings class for the tasks of these tests."""

from __future__ import annotations

from pydantic import BaseModel


class Settings(BaseModel):
    """Nothing."""
