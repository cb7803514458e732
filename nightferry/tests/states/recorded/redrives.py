"""Histories of redriven executions, as AWS returned them in us-west-2 on 2026-09-24.

Source: testdata/aws/stepfunctions/redrive_execution.json and redrive_map.json of the public repository
radkawar/stackd, which retain the responses of GetExecutionHistory. Only types, IDs, previous events, names and indexes
are repeated here. The tasks of the first two executions are activities, of which some fail once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from nightferry.states.machine.history import get_details_key

BEGIN = datetime(2026, 9, 24, tzinfo=UTC)

PARALLEL = """
1 ExecutionStarted 0
2 ChoiceStateEntered 0 Select
3 ChoiceStateExited 2 Select
4 ParallelStateEntered 3 Parallel
5 ParallelStateStarted 4
6 TaskStateEntered 5 SucceededSibling
7 ActivityScheduled 6
8 TaskStateEntered 5 FailedSibling
9 ActivityScheduled 8
10 TaskStateEntered 5 AbortedSibling
11 ActivityScheduled 10
12 ActivityStarted 7
13 ActivityStarted 9
14 ActivityStarted 11
15 ActivitySucceeded 12
16 TaskStateExited 15 SucceededSibling
17 ActivityFailed 13
18 TaskStateAborted 17
19 TaskStateAborted 17
20 ParallelStateFailed 17
21 ExecutionFailed 20
22 ExecutionRedriven 21
23 ActivityScheduled 8
24 ActivityScheduled 10
25 ActivityStarted 24
26 ActivitySucceeded 25
27 TaskStateExited 26 AbortedSibling
28 ActivityStarted 23
29 ActivitySucceeded 28
30 TaskStateExited 29 FailedSibling
31 ParallelStateSucceeded 30
32 ParallelStateExited 30 Parallel
33 ExecutionSucceeded 32
"""

INLINE_MAP = """
1 ExecutionStarted 0
2 ChoiceStateEntered 0 Select
3 ChoiceStateExited 2 Select
4 MapStateEntered 3 InlineMap
5 MapStateStarted 4
6 MapIterationStarted 5 InlineMap 0
7 TaskStateEntered 6 MapItem
8 ActivityScheduled 7
9 ActivityStarted 8
10 ActivitySucceeded 9
11 TaskStateExited 10 MapItem
12 MapIterationSucceeded 11 InlineMap 0
13 MapIterationStarted 11 InlineMap 1
14 TaskStateEntered 13 MapItem
15 ActivityScheduled 14
16 ActivityStarted 15
17 ActivityFailed 16
18 MapIterationFailed 17 InlineMap 1
19 TaskStateAborted 17
20 MapStateFailed 17
21 ExecutionFailed 20
22 ExecutionRedriven 21
23 ActivityScheduled 14
24 ActivityStarted 23
25 ActivitySucceeded 24
26 TaskStateExited 25 MapItem
27 MapIterationSucceeded 26 InlineMap 1
28 MapIterationStarted 26 InlineMap 2
29 TaskStateEntered 28 MapItem
30 ActivityScheduled 29
31 ActivityStarted 30
32 ActivitySucceeded 31
33 TaskStateExited 32 MapItem
34 MapIterationSucceeded 33 InlineMap 2
35 MapStateSucceeded 34
36 MapStateExited 34 InlineMap
37 ExecutionSucceeded 36
"""

DISTRIBUTED_MAP = """
1 ExecutionStarted 0
2 PassStateEntered 0 BeforeMap
3 PassStateExited 2 BeforeMap
4 MapStateEntered 3 ProbeMap
5 MapStateStarted 4
6 MapRunStarted 5
7 MapRunFailed 6
8 MapStateFailed 7
9 ExecutionFailed 8
10 ExecutionRedriven 9
11 MapRunRedriven 5
12 MapRunFailed 11
13 MapStateFailed 12
14 ExecutionFailed 13
15 ExecutionRedriven 14
16 MapRunRedriven 5
17 MapRunSucceeded 16
18 MapStateSucceeded 17
19 MapStateExited 16 ProbeMap
20 PassStateEntered 19 AfterMap
21 PassStateExited 20 AfterMap
22 ExecutionSucceeded 21
"""

CHILD_EXECUTION = """
1 ExecutionStarted 0
2 PassStateEntered 0 BeforeTask
3 PassStateExited 2 BeforeTask
4 WaitStateEntered 3 Pause
5 WaitStateExited 4 Pause
6 TaskStateEntered 5 ReadOwnedObject
7 TaskScheduled 6
8 TaskStarted 7
9 TaskFailed 8
10 ExecutionFailed 9
11 ExecutionRedriven 10
12 TaskScheduled 6
13 TaskStarted 12
14 TaskSucceeded 13
"""

FAIL = """
1 ExecutionStarted 0
2 ChoiceStateEntered 0 Select
3 ChoiceStateExited 2 Select
4 FailStateEntered 3 ExplicitFailure
5 ExecutionFailed 4
6 ExecutionRedriven 5
7 ExecutionFailed 6
"""


def read_events(text: str) -> list[dict[str, Any]]:
    """Return the events in the format of GetExecutionHistory, one second apart."""
    events: list[dict[str, Any]] = []
    for line in text.strip().splitlines():
        id, kind, before, *names = line.split()
        event: dict[str, Any] = {
            "id": int(id),
            "type": kind,
            "previousEventId": int(before),
            "timestamp": BEGIN + timedelta(seconds=int(id)),
        }
        if names:
            index = {"index": int(names[1])} if len(names) > 1 else {}
            event[get_details_key(kind)] = {"name": names[0], **index}
        events.append(event)
    return events
