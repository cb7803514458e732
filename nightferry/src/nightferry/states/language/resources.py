"""The ARNs of task resources. Source: Step Functions developer guide, "Integrating services"."""

from __future__ import annotations

import re
from dataclasses import dataclass

RUN_TASK = "arn:aws:states:::ecs:runTask.sync"
RUN_TASK_ONLY = "arn:aws:states:::ecs:runTask"
PUBLISH = "arn:aws:states:::sns:publish"
GET_OBJECT = "arn:aws:states:::aws-sdk:s3:getObject"
INVOKE = "arn:aws:states:::lambda:invoke"
START_EXECUTION = tuple(f"arn:aws:states:::states:startExecution{pattern}" for pattern in ("", ".sync", ".sync:2"))
BUILT_IN = frozenset({RUN_TASK, RUN_TASK_ONLY, PUBLISH, GET_OBJECT, INVOKE, *START_EXECUTION})
"""The resources that run both on AWS and in the local engine; a catalog can declare others."""

_INTEGRATION = re.compile(
    r"arn:[a-z0-9-]+:states:([a-z0-9-]*):(\d*):(?P<service>[A-Za-z0-9-]+(?::[A-Za-z0-9-]+)?)"
    r":(?P<action>[A-Za-z0-9]+)(?:\.(?P<pattern>sync(?::2)?|waitForTaskToken))?"
)
_ACTIVITY = re.compile(r"arn:[a-z0-9-]+:states:[a-z0-9-]*:\d*:activity:.+")
_FUNCTION = re.compile(r"arn:[a-z0-9-]+:lambda:[a-z0-9-]*:\d*:function:.+")


@dataclass(frozen=True)
class TaskResource:
    """A parsed resource, with the values that the history records.

    ``kind`` is ``integration``, ``activity`` or ``lambda`` (the resource is the function's own ARN). For an
    integration, ``type`` is the service (``ecs``) and ``action`` its action (``runTask.sync``).
    """

    arn: str
    kind: str
    type: str = ""
    action: str = ""

    @property
    def waits(self) -> bool:
        """True if the task continues after its submission (``.sync``, ``.waitForTaskToken``)."""
        return "." in self.action


def parse(arn: str) -> TaskResource:
    """Parse a resource. A resource that is neither an integration nor an activity is called like a function."""
    if _ACTIVITY.fullmatch(arn):
        return TaskResource(arn, "activity")
    if match := _INTEGRATION.fullmatch(arn):
        pattern = f".{match['pattern']}" if match["pattern"] else ""
        return TaskResource(arn, "integration", match["service"], match["action"] + pattern)
    return TaskResource(arn, "lambda")
