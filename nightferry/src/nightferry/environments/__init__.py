"""Environments: their files, the `[aws]` and `[engine]` tables, and the project that contains them."""

from nightferry.environments.environment import Environment
from nightferry.environments.project import Project

__all__ = ["Environment", "Project"]
