"""What an environment sets: its file, its `[aws]` or `[engine]` table, the project around it."""

from nightferry.environments.environment import Environment
from nightferry.environments.project import Project

__all__ = ["Environment", "Project"]
