"""Watch a task for hours, in simulated time."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nightferry.aws.backend import AwsBackend
from nightferry.backend.runs import RunRequest
from nightferry.cli.terminal.follow import follow_run
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript

pytestmark = pytest.mark.sampled(8)

HOUR = 3600


@pytest.mark.parametrize(
    "takes",
    [
        pytest.param(HOUR // 4, id="a quarter"),
        pytest.param(3 * HOUR, id="three hours", marks=pytest.mark.long),
    ],
)
def test_a_long_task_is_watched_to_its_last_line(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, takes: int
) -> None:
    lines = [ScriptedLine(at, f"at {at}") for at in range(60, takes, 611)]
    lines.append(ScriptedLine(takes - 0.1, "the last", seen=takes + 8))
    fargate.script("slow", TaskScript(pending=2, running=60, stopped=takes, exit_code=4, lines=lines))
    started = clock.now()
    id = backend.run_task(RunRequest("slow"))
    out = io.StringIO()
    run = follow_run(backend, id, Console(file=out, width=100), env="test", clock=clock)
    assert (run.status, run.exit_code) == ("STOPPED", 4)
    assert out.getvalue().splitlines() == [line.text for line in lines]
    assert takes <= (clock.now() - started).total_seconds() < takes + 60
    assert len(fargate.calls) < 1000 * takes / HOUR, "the polls are seconds apart"
