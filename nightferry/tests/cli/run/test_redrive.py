"""``nightferry redrive``: continue a failed execution and follow it until it ends."""

from __future__ import annotations

from pathlib import Path

from tests.cli.terminal import nightferry


def test_a_failed_execution_continues_after_its_cause_is_fixed(root: Path) -> None:
    counter = root.parent / "out.n"
    counter.write_text("-10")  # the task fails three times, then its state gives up
    failed = nightferry(root, "start", "retried")
    assert failed.returncode == 1
    id = failed.stdout.rsplit(maxsplit=1)[1]

    assert nightferry(root, "redrive", id, "--dry-run").stdout == f"{id} can continue at the state that failed.\n"
    again = nightferry(root, "redrive", id[:-3])
    assert again.returncode == 1
    assert "retried failed after" in again.stdout

    counter.write_text("2")
    fixed = nightferry(root, "redrive", id)
    assert fixed.returncode == 0, fixed.stderr
    assert fixed.stderr == f"{id} continues at the state that failed.\n"
    assert fixed.stdout.splitlines()[-1].startswith("retried succeeded after ")

    done = nightferry(root, "redrive", id)
    assert done.returncode == 2
    assert (
        done.stderr
        == f"nightferry: Cannot redrive execution {id}: it is SUCCEEDED, and only failed executions can be redriven.\n"
    )


def test_queues_and_unknown_executions_are_errors(root: Path) -> None:
    assert "has no dead-letter queues" in nightferry(root, "redrive", "triggers").stderr
    unknown = nightferry(root, "redrive", "no-such-execution")
    assert unknown.returncode == 2
    assert "no-such-execution" in unknown.stderr
