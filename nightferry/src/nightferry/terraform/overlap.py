"""The overlap policy of a workflow on AWS, as states before its first one.

Step Functions starts any number of executions. The local engine and ``nightferry start`` apply the policy before the
start; a schedule or a trigger cannot. So the deployed definition begins with a check::

    settle ── list executions ── earlier one? ── no ──► the workflow's first state
                  ▲                   │
                  │                   ├─ skip     succeed without doing anything
                  └───────────────────┼─ queue    wait, and check again
                                      └─ replace  stop the earlier ones, and check again

Of executions that start at the same time, the one with the lower start time, then ARN, counts as the earlier one, so
that exactly one of them continues. ListExecutions is eventually consistent, therefore the check begins with a wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.catalog.declarations import Workflow
from nightferry.contract import format_replacement

LIST = "arn:aws:states:::aws-sdk:sfn:listExecutions"
STOP = "arn:aws:states:::aws-sdk:sfn:stopExecution"

SETTLE_SECONDS = 5
QUEUE_SECONDS = 60  # an execution may have 25,000 events; a day of checks has about 9,000
_REPLACE_SECONDS = 5

_EARLIER = """{%
  (
    $own := $states.context.Execution.Id;
    $running := $states.result.Executions;
    $mine := $running[ExecutionArn = $own].StartDate;
    $start := $toMillis($exists($mine) ? $mine : $states.context.Execution.StartTime);
    [$running[ExecutionArn != $own and ($toMillis(StartDate) < $start
      or ($toMillis(StartDate) = $start and ExecutionArn < $own))].ExecutionArn]
  )
%}"""

_CAUSE = format_replacement("|").split("|")

_RETRY = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxAttempts": 5, "BackoffRate": 2.0}]

# Names that no step of a builder has.
STATE_PREFIX = "overlap: "
"""The names of the states that apply the policy begin so."""

_SETTLE, _CHECK, _DECIDE, _ACT = (f"{STATE_PREFIX}{name}" for name in ("settle", "list executions", "decide", "act"))


def apply_policy(workflow: Workflow) -> dict[str, Any]:
    """Return the definition of a workflow, beginning with the check of its overlap policy."""
    definition = dict(workflow.definition)
    if workflow.overlap == "allow":
        return definition
    states: Mapping[str, Any] = definition["States"]
    check = {
        _SETTLE: {"Type": "Wait", "QueryLanguage": "JSONata", "Seconds": SETTLE_SECONDS, "Next": _CHECK},
        _CHECK: {
            "Type": "Task",
            "QueryLanguage": "JSONata",
            "Resource": LIST,
            "Arguments": {
                "StateMachineArn": "{% $states.context.StateMachine.Id %}",
                "StatusFilter": "RUNNING",
                "MaxResults": 1000,
            },
            "Assign": {"overlap_earlier": _EARLIER},
            "Output": "{% $states.input %}",
            "Retry": _RETRY,
            "Next": _DECIDE,
        },
        _DECIDE: {
            "Type": "Choice",
            "QueryLanguage": "JSONata",
            "Choices": [{"Condition": "{% $count($overlap_earlier) > 0 %}", "Next": _ACT}],
            "Default": definition["StartAt"],
        },
    }
    return definition | {"StartAt": _SETTLE, "States": check | _ACTIONS[workflow.overlap] | dict(states)}


_ACTIONS: dict[str, dict[str, Any]] = {
    "skip": {
        _ACT: {
            "Type": "Succeed",
            "QueryLanguage": "JSONata",
            "Output": {"skipped": "An earlier execution is running.", "running": "{% $overlap_earlier %}"},
        }
    },
    "queue": {_ACT: {"Type": "Wait", "QueryLanguage": "JSONata", "Seconds": QUEUE_SECONDS, "Next": _CHECK}},
    "replace": {
        _ACT: {
            "Type": "Map",
            "QueryLanguage": "JSONata",
            "Items": "{% $overlap_earlier %}",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "overlap: stop",
                "States": {
                    "overlap: stop": {
                        "Type": "Task",
                        "QueryLanguage": "JSONata",
                        "Resource": STOP,
                        "Arguments": {
                            "ExecutionArn": "{% $states.input %}",
                            "Cause": f"{{% '{_CAUSE[0]}' & $states.context.Execution.Id & '{_CAUSE[1]}' %}}",
                        },
                        "Retry": _RETRY,
                        "End": True,
                    }
                },
            },
            "Output": "{% $states.input %}",
            "Next": "overlap: wait for the stop",
        },
        "overlap: wait for the stop": {
            "Type": "Wait",
            "QueryLanguage": "JSONata",
            "Seconds": _REPLACE_SECONDS,
            "Next": _CHECK,
        },
    },
}
