"""A fake of ECS on Fargate and of Step Functions, with moto's server for the rest of AWS."""

from nightferry.testing.fargate.server import FakeFargate
from nightferry.testing.fargate.task_script import ScriptedLine, TaskScript

__all__ = ["FakeFargate", "ScriptedLine", "TaskScript"]
