"""``nightferry redrive``: a failed execution again, followed to its end."""

from __future__ import annotations

from pathlib import Path

from tests.cli.terminal import nightferry


def test_a_failed_execution_goes_on_once_its_cause_is_gone(root: Path) -> None:
    counter = root.parent / "out.n"
    counter.write_text("-10")  # the task fails three times, then its state gives up
    failed = nightferry(root, "start", "retried")
    assert failed.returncode == 1
    id = failed.stdout.rsplit(maxsplit=1)[1]

    assert nightferry(root, "redrive", id, "--dry-run").stdout == f"{id} could go on from the state that failed.\n"
    again = nightferry(root, "redrive", id[:-3])
    assert again.returncode == 1
    assert "retried failed after" in again.stdout

    counter.write_text("2")
    mended = nightferry(root, "redrive", id)
    assert mended.returncode == 0, mended.stderr
    assert mended.stderr == f"{id} goes on from the state that failed.\n"
    assert mended.stdout.splitlines()[-1].startswith("retried succeeded after ")

    done = nightferry(root, "redrive", id)
    assert done.returncode == 2
    assert done.stderr == f"nightferry: Execution {id} is SUCCEEDED. Only a failed execution can be redriven.\n"


def test_what_is_not_there_is_told(root: Path) -> None:
    assert "nothing is dead-lettered" in nightferry(root, "redrive", "triggers").stderr
    unknown = nightferry(root, "redrive", "no-such-execution")
    assert unknown.returncode == 2
    assert "no-such-execution" in unknown.stderr
