"""Watching for hours, in simulated time."""

from __future__ import annotations

import io

from rich.console import Console

from nightferry.aws.backend import AwsBackend
from nightferry.backend.interface import RunRequest
from nightferry.cli.terminal.follow import follow_run
from nightferry.testing import FakeFargate, Play, Said, ToldClock

HOURS = 3 * 3600


def test_a_task_of_three_hours_is_watched_to_its_last_line(
    place: AwsBackend, told: FakeFargate, clock: ToldClock
) -> None:
    lines = [Said(at, f"at {at}") for at in range(60, HOURS, 611)]
    lines.append(Said(HOURS - 0.1, "the last", seen=HOURS + 8))
    told.plays("slow", Play(pending=2, running=60, stopped=HOURS, exit_code=4, lines=lines))
    began = clock.now()
    id = place.run_task(RunRequest("slow"))
    out = io.StringIO()
    run = follow_run(place, id, Console(file=out, width=100), env="test", clock=clock)
    assert (run.status, run.exit_code) == ("STOPPED", 4)
    assert out.getvalue().splitlines() == [line.text for line in lines]
    assert HOURS <= (clock.now() - began).total_seconds() < HOURS + 60
    assert len(told.calls) < 3000, "it asks every few seconds, not all the time"
