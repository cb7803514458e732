"""``make demo``: consecutive days, interrupted runs, and error messages."""

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
from lxml import etree

from nightferry.local.services.data_folders import find_folder
from nightferry.local.services.postgres import Postgres
from paidleave.demo import commands, main
from paidleave.demo.summary import LinesUnaccounted, count_lines
from tests.etl.demo import EMPLOYERS, PROGRAM, FirstDemoRun, demo, demo_until, list_running, start

ROOT = Path(__file__).parents[1]
BIN = PROGRAM.parent.resolve()
OUTCOMES = ("created", "updated", "unmodified", "duplicate", "rejected")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory. Its PostgreSQL server, which is in another folder, is removed with it."""
    folder = tmp_path / "a state"
    yield folder
    if (folder / "id").exists():
        directory = find_folder("database", folder)
        Postgres(directory).stop()
        shutil.rmtree(directory)


def parse_outcomes(out: str) -> dict[str, list[int]]:
    """Return the number of lines and of each outcome by kind."""
    rows = re.findall(
        r"^(Employers|Quarters \(A\)|Wages \(B\)|Unrecognized|All)((?: +[\d,]+){6}) *$", out, re.MULTILINE
    )
    return {kind: [int(number.replace(",", "")) for number in numbers.split()] for kind, numbers in rows}


def find_triggered_jobs(out: str) -> list[tuple[str, str]]:
    """Return the jobs that the arrival of a file started, each with its trigger."""
    return re.findall(r"^✓ ([a-z-]+): started by trigger ([a-z-]+), succeeded", out, re.MULTILINE)


def test_a_stopped_run_is_resumed(first_demo_run: FirstDemoRun) -> None:
    code, out, err = first_demo_run.interrupted
    assert code == 130, err
    assert "fineos-import-employee-updates: started" in out
    assert "dor-fineos-etl was stopped. No data was lost" in err
    assert "Traceback" not in err

    code, first, err = first_demo_run.resumed
    assert code == 0, first + err
    assert "files of day 1: 20 employers" in first
    assert not find_triggered_jobs(first)
    lines = parse_outcomes(first)
    assert set(lines) == {"Employers", "Quarters (A)", "Wages (B)", "Unrecognized", "All"}
    for kind, (count, *outcomes) in lines.items():
        assert count == sum(outcomes), kind
    assert lines["All"] == [sum(row) for row in zip(*(lines[kind] for kind in lines if kind != "All"), strict=True)]
    assert lines["Employers"][1] == EMPLOYERS
    assert lines["Quarters (A)"][1] == 4 * EMPLOYERS
    assert lines["All"][-1] > 0  # All bad lines of the generator were rejected.
    assert re.search(rf"Database +{EMPLOYERS} employers, [\d,]+ employees, {lines['Wages (B)'][1]:,} wage", first)
    assert f"{EMPLOYERS} employers loaded" in first
    assert f"{EMPLOYERS} eligibility files, 0 rejected" in first
    assert re.search("Still queued +0 employers, 0 employees", first)
    assert first_demo_run.left_running == []


def read_picture() -> list[str]:
    """Return the lines of docs/demo.svg, which tools/demo_picture.py draws."""
    rows: dict[str, list[tuple[float, str]]] = {}
    for text in etree.parse(ROOT.parent / "docs" / "demo.svg").iter("{http://www.w3.org/2000/svg}text"):
        rows.setdefault(text.attrib.get("y", ""), []).append((float(text.attrib["x"]), text.text or ""))
    return [" ".join(part for _, part in sorted(row)) for row in rows.values()]


def without_numbers(line: str) -> str:
    """Return a line of the demo without numbers, blanks, paths, and the reasons of rejected lines, which differ."""
    without_paths = re.sub(r"^(Rejected\s).*|'[^']*/bin/([\w-]+)'|\S*/bin/", r"\1\2", line)
    return re.sub(r"[\d,.\s─]+", "", without_paths)


def test_the_picture_of_the_first_page_shows_such_a_run(first_demo_run: FirstDemoRun) -> None:
    """If it fails, run: make pictures."""
    _, first, _ = first_demo_run.resumed
    lines, picture = (
        [masked for line in each if (masked := without_numbers(line))] for each in (first.splitlines(), read_picture())
    )
    summary = lines[lines.index("OutcomeofeveryDORline") :]
    start = picture.index("OutcomeofeveryDORline")
    assert picture[start : start + len(summary)] == summary


@pytest.mark.long
def test_a_run_stopped_while_files_arrive_is_resumed(first_demo_run: FirstDemoRun, state: Path) -> None:
    first_demo_run.world(state)
    code, second, err = demo_until("✓ dor-import-exempt: started by trigger", state, f"--employers={EMPLOYERS}")
    assert code == 130, err
    assert "✓ dor-import-exempt: started by trigger" in second
    assert "No data was lost" in err
    assert "files of day 2: the changes of a day" in second

    code, rest, err = demo(state, f"--employers={EMPLOYERS}")
    assert code == 0, rest + err
    assert "The workflow of day 2 succeeded. Resuming the interrupted arrival of files." in rest
    assert "files of day" not in rest
    lines = parse_outcomes(second)
    _, created, updated, unmodified, *_ = lines["Employers"]
    assert (created, updated + unmodified) == (0, EMPLOYERS)
    assert 0 < updated < unmodified
    assert 0 < lines["Wages (B)"][2] < lines["Wages (B)"][0]
    assert re.search("Still queued +0 employers, 0 employees", second)
    assert find_triggered_jobs(rest) == [
        ("dor-import-exempt", "exempt-employers"),
        ("dor-create-pending-filing-submission", "returning-to-state-plan"),
        ("dor-pending-filing-response-import", "pending-filing-response"),
    ]
    accounted = rest.partition("Outcome of every line in the files")[2]
    rows = re.findall(r"^  (?:Employers|Quarters|Wages|Unrecognized).*?((?: +[\d,]+){6}) *$", accounted, re.MULTILINE)
    numbers = [[int(number.replace(",", "")) for number in row.split()] for row in rows]
    assert len(numbers) >= 5
    for count, *outcomes in numbers:
        assert count == sum(outcomes)
    # The file of exempt employers was imported before the interruption. It has rejected lines, so it is imported again
    # when it is received again, and changes nothing.
    for _, created, updated, unmodified, *_ in numbers[:2]:
        assert (created, updated) == (0, 0)
        assert unmodified > 0
    assert re.search(r"[1-9]\d* (\([+-]\d+\) )?of them fully exempt", accounted)

    assert list_running(state) == []


class RunDemo(Protocol):
    """Runs the console script in this process."""

    def __call__(self, *options: str, path: str | None = None) -> tuple[int, str, str]: ...


@pytest.fixture
def run_demo(state: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> RunDemo:
    """Return a function that runs the console script and returns exit code, standard output and standard error."""

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
def test_invalid_options_are_reported_before_services_start(state: Path, run_demo: RunDemo, option: str) -> None:
    code, out, err = run_demo(option)
    assert code == 2
    assert f"Invalid value for '{option.partition('=')[0]}'" in err
    assert out == ""
    assert not state.exists()


def test_a_missing_gpg_is_reported_with_the_install_command(state: Path, run_demo: RunDemo, tmp_path: Path) -> None:
    code, _, err = run_demo(path=str(tmp_path))
    assert code == 1
    assert err == "demo: gpg is not installed. Install it, for example by: apt-get install gnupg\n"
    assert not state.exists()


@pytest.mark.parametrize("options", [[], ["--help"]])
def test_a_closed_pipe_ends_the_demo_with_the_exit_code_of_a_shell(state: Path, options: list[str]) -> None:
    with start(state, *options) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        assert (process.wait(), err) == (141, "")
    assert list_running(state) == []


@pytest.mark.parametrize("lock", ["demo.lock", "engine.lock"])
def test_a_concurrent_demo_is_rejected(state: Path, run_demo: RunDemo, lock: str) -> None:
    state.mkdir()
    with (state / lock).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, _, err = run_demo(path=f"{BIN}:{os.environ['PATH']}")
    assert code == 1
    assert err.startswith("demo: Another make demo or nightferry command is using ")
    assert err.endswith("Wait until it has ended, then run make demo again. To monitor it, run: nightferry status.\n")
    assert not (state / "id").exists()


@pytest.mark.parametrize(("folder", "command"), [(ROOT, str(BIN / "nightferry")), (BIN, "./nightferry")])
def test_commands_in_messages_work_in_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, folder: Path, command: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert shlex.split(commands.find_nightferry_command()) == [command]
    monkeypatch.setenv("PATH", str(BIN))
    assert commands.find_nightferry_command() == "nightferry"


def test_lines_without_outcome_fail_the_demo() -> None:
    counts = {f"{outcome}_employers_count": 2 for outcome in OUTCOMES}
    assert count_lines([{"employers_lines_count": 10, **counts}]) == {"Employers": (10, 2, 2, 2, 2, 2)}
    with pytest.raises(LinesUnaccounted, match="Employers: the file has 11 lines, but 10 outcomes"):
        count_lines([{"employers_lines_count": 11, **counts}])


def test_files_of_several_days_are_added_up() -> None:
    day = {"employers_lines_count": 3, "created_employers_count": 3, "rejected_unknown_lines_count": 1}
    assert count_lines([day, day]) == {"Employers": (6, 6, 0, 0, 0, 0), "Unrecognized": (2, 0, 0, 0, 0, 2)}
