"""``make demo`` as people call it: nights one after the other, stopped in the middle, and mistakes in words."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from nightferry.local.services.postgres import Postgres, private_directory
from paidleave.demo import commands, main
from paidleave.demo.account import LinesUnaccounted, lines_of
from tests.etl.demo import EMPLOYERS, PROGRAM, FirstDemoRun, demo, demo_until, list_running

ROOT = Path(__file__).parents[1]
BIN = PROGRAM.parent.resolve()
OUTCOMES = ("created", "updated", "unmodified", "duplicate", "rejected")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory; its PostgreSQL server, which lies elsewhere, goes with it."""
    folder = tmp_path / "a state"
    yield folder
    if (folder / "id").exists():
        directory = private_directory("database", folder)
        Postgres(directory).stop()
        shutil.rmtree(directory)


def table(out: str) -> dict[str, list[int]]:
    """The account of every line: how many lines, and how many of each outcome, by kind."""
    rows = re.findall(r"^(Employers|Quarters \(A\)|Wages \(B\)|No kind¹|All)((?: +[\d,]+){6}) *$", out, re.MULTILINE)
    return {kind: [int(number.replace(",", "")) for number in numbers.split()] for kind, numbers in rows}


def arrived(out: str) -> list[tuple[str, str]]:
    """The jobs that the arrival of a file has started, each with its trigger."""
    return re.findall(r"^✓ ([a-z-]+): started by trigger ([a-z-]+), succeeded", out, re.MULTILINE)


def test_a_night_that_is_stopped_is_resumed(first_demo_run: FirstDemoRun) -> None:
    code, out, err = first_demo_run.interrupted
    assert code == 130, err
    assert "fineos-import-employee-updates: started" in out
    assert "dor-fineos-etl was stopped. Nothing is lost" in err
    assert "Traceback" not in err

    code, first, err = first_demo_run.resumed
    assert code == 0, first + err
    assert "files of day 1: 20 employers" in first
    assert not arrived(first)
    lines = table(first)
    assert set(lines) == {"Employers", "Quarters (A)", "Wages (B)", "No kind¹", "All"}
    for kind, (count, *outcomes) in lines.items():
        assert count == sum(outcomes), kind
    assert lines["All"] == [sum(row) for row in zip(*(lines[kind] for kind in lines if kind != "All"), strict=True)]
    assert lines["Employers"][1] == EMPLOYERS
    assert lines["Quarters (A)"][1] == 4 * EMPLOYERS
    assert lines["All"][-1] > 0  # the generator's bad lines were all rejected
    assert re.search(rf"Database +{EMPLOYERS} employers, [\d,]+ employees, {lines['Wages (B)'][1]:,} wage", first)
    assert f"{EMPLOYERS} employers loaded" in first
    assert f"{EMPLOYERS} eligibility files, 0 refused" in first
    assert re.search("Still queued +0 employers, 0 employees", first)
    assert first_demo_run.left_running == []


def test_the_next_day_that_is_stopped_while_files_arrive_is_resumed(first_demo_run: FirstDemoRun, state: Path) -> None:
    first_demo_run.world(state)
    code, second, err = demo_until("✓ dor-import-exempt: started by trigger", state, f"--employers={EMPLOYERS}")
    assert code == 130, err
    assert "✓ dor-import-exempt: started by trigger" in second
    assert "Nothing is lost" in err
    assert "files of day 2: the changes of a day" in second

    code, rest, err = demo(state, f"--employers={EMPLOYERS}")
    assert code == 0, rest + err
    assert "The night of day 2 is over, and its arrivals were interrupted: they come now." in rest
    assert "files of day" not in rest
    lines = table(second)
    assert lines["Employers"][1:3] == [0, EMPLOYERS]
    assert 0 < lines["Wages (B)"][2] < lines["Wages (B)"][0]
    assert re.search("Still queued +0 employers, 0 employees", second)
    assert arrived(rest) == [
        ("dor-import-exempt", "exempt-employers"),
        ("dor-create-pending-filing-submission", "returning-to-state-plan"),
        ("dor-pending-filing-response-import", "pending-filing-response"),
    ]
    accounted = rest.partition("What became of every line that arrived")[2]
    rows = re.findall(r"^  (?:Employers|Quarters|Wages|No kind).*?((?: +[\d,]+){6}) *$", accounted, re.MULTILINE)
    assert len(rows) >= 3  # the exempt employers' file is known by now
    for count, *outcomes in ([int(number.replace(",", "")) for number in row.split()] for row in rows):
        assert count == sum(outcomes)
    assert re.search(r"known: the same content came", accounted)
    assert re.search(r"[1-9]\d* (\([+-]\d+\) )?of them exempt from everything", accounted)

    assert list_running(state) == []


class DemoHere(Protocol):
    """The console script in this process."""

    def __call__(self, *options: str, path: str | None = None) -> tuple[int, str, str]: ...


@pytest.fixture
def demo_here(state: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> DemoHere:
    """Return what runs the console script in this process; it gives exit code, standard output and standard error."""

    def run(*options: str, path: str | None = None) -> tuple[int, str, str]:
        monkeypatch.chdir(ROOT)
        monkeypatch.setenv("NIGHTFERRY_STATE", str(state))
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr(sys, "argv", [str(PROGRAM), *options])
        if path is not None:
            monkeypatch.setenv("PATH", path)
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return (ended.value.code, *capfd.readouterr())

    return run


@pytest.mark.parametrize("option", ["--employers=-5", "--employers=0", "--employers=few", "--bad-share=2"])
def test_wrong_options_are_explained_before_anything_starts(state: Path, demo_here: DemoHere, option: str) -> None:
    code, out, err = demo_here(option)
    assert code == 2
    assert f"Invalid value for '{option.partition('=')[0]}'" in err
    assert out == ""
    assert not state.exists()


def test_without_gpg_the_message_says_how_to_install_it(state: Path, demo_here: DemoHere, tmp_path: Path) -> None:
    code, _, err = demo_here(path=str(tmp_path))
    assert code == 1
    assert err == "demo: gpg is not installed. Install it, for example by: apt-get install gnupg\n"
    assert not state.exists()


@pytest.mark.parametrize("lock", ["demo.lock", "engine.lock"])
def test_a_second_demo_at_the_same_time_is_kept_out(state: Path, demo_here: DemoHere, lock: str) -> None:
    state.mkdir()
    with (state / lock).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, _, err = demo_here(path=f"{BIN}:{os.environ['PATH']}")
    assert code == 1
    assert err.startswith("demo: Another make demo, or another nightferry command, works in ")
    assert err.endswith("Wait until it has ended, then call make demo again. To watch it: nightferry status.\n")
    assert not (state / "id").exists()


@pytest.mark.parametrize(("folder", "command"), [(ROOT, str(BIN / "nightferry")), (BIN, "./nightferry")])
def test_the_commands_in_messages_can_be_typed_in_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, folder: Path, command: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert shlex.split(commands.nightferry()) == [command]
    monkeypatch.setenv("PATH", str(BIN))
    assert commands.nightferry() == "nightferry"


def test_lines_that_nobody_accounts_for_fail_the_demo() -> None:
    counts = {f"{outcome}_employers_count": 2 for outcome in OUTCOMES}
    assert lines_of([{"employers_lines_count": 10, **counts}]) == {"Employers": (10, 2, 2, 2, 2, 2)}
    with pytest.raises(LinesUnaccounted, match="Employers: 11 lines, but 10 accounted for"):
        lines_of([{"employers_lines_count": 11, **counts}])


def test_files_of_several_days_are_added_up() -> None:
    day = {"employers_lines_count": 3, "created_employers_count": 3, "rejected_unknown_lines_count": 1}
    assert lines_of([day, day]) == {"Employers": (6, 6, 0, 0, 0, 0), "No kind¹": (2, 0, 0, 0, 0, 2)}
