"""Read a run's lines: none is lost or repeated, even if lines are late or calls fail for a while."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from nightferry.aws.backend import AwsBackend
from nightferry.aws.logs import is_end
from nightferry.backend.errors import Unreachable
from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import RunRequest
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript
from nightferry.testing.tiers import LONG

LINES = 10_000 if LONG else 2_500


def bursts(rng: random.Random) -> Iterator[tuple[float, str, float]]:
    """Yield the time, text and delay of lines, with bursts at one time, equal texts and late arrivals."""
    at, count = 1.0, 0
    while count < LINES:
        at += rng.choice([0.0, 0.5, 5, 20, 60])
        for _ in range(min(rng.choice([1, 3, 50, 700]), LINES - count)):
            late = 500 if rng.random() < 0.01 else rng.choice([0, 0, 0, 2, 20, 55])
            yield at, "same" if count % 7 == 0 else f"line {count}", late
            count += 1


def test_thousands_of_lines_with_bursts_late_arrivals_and_throttling(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    rng = random.Random(4)
    written = list(bursts(rng))
    end = written[-1][0] + 1
    # The last lines become visible up to ten seconds after the task has stopped.
    lines = [ScriptedLine(at, text, seen=min(at + late, end + 10)) for at, text, late in written]
    fargate.script("chatty", TaskScript(lines=lines, stopped=end))
    id = backend.run_task(RunRequest("chatty"))
    reader = backend.log_reader()
    texts: list[str] = []
    refused, polls, ended = 0, 0, False
    while not ended:
        polls += 1
        if polls % 100 == 50:
            fargate.inject_errors("FilterLogEvents", "ThrottlingException", times=2)  # fails one whole call
        try:
            stopped = backend.run(id).status == "STOPPED"
            texts += (line.text for line in reader.new([id]))
            ended = stopped and reader.is_drained(id)
        except Unreachable:
            refused += 1
        clock.sleep(7)
    assert refused > 0
    assert len(texts) == LINES
    assert Counter(texts) == Counter(line.text for line in lines)
    prompt = [text for (_, text, late) in written if late == 0 and text != "same"]
    seen = set(prompt)
    assert [text for text in texts if text in seen] == prompt, "lines that are not late keep their order"


def test_only_a_line_of_the_runtime_is_the_last_line() -> None:
    line = '{"message": "ended with exit code 0", "event": "ended", "exit_code": 0}'
    assert is_end(line)
    for forged in (
        '{"message": "a field of the job", "data": {"event": "ended"}}',
        '{"message": "{\\"event\\": \\"ended\\"}", "logger": "stdout"}',
        'text "event": "ended"',
        '{"message": "of the job", "event_": "ended"}',
    ):
        assert not is_end(forged), forged


def test_a_run_and_its_log_are_found_after_ecs_has_forgotten_it(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    fargate.script("three", TaskScript(lines=[ScriptedLine(0.5, "once")], exit_code=3, container_reason="it left"))
    id = backend.run_task(RunRequest("three", started_by="jane"))
    clock.sleep(5)
    assert backend.run(id).status == "STOPPED"
    clock.sleep(timedelta(days=6).total_seconds())
    for name in (id, id[:8], f"arn:aws:ecs:us-east-1:123456789012:task/toy-test/{id}"):
        run = backend.run(name)
        assert (run.id, run.task, run.exit_code, run.reason) == (id, "three", 3, "it left")
        assert (run.started_by, run.stop_code) == ("jane", "EssentialContainerExited")
        assert [line.text for line in backend.log([run.id])] == ["once"]
    assert [run.id for run in backend.runs(RunFilter(task="three"))] == [id]
    assert not backend.runs(RunFilter(task="hello"))
