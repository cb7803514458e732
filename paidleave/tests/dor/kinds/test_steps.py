"""The SQL steps of each kind of file run in the order of their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, LiteralString

import polars as pl
import pytest

from nightferry import BackgroundTask, Run
from nightferry.job.runtime import Runtime
from paidleave.dor.files.batch import Batch
from paidleave.dor.files.screening import Screened
from paidleave.dor.importing.file_kind import FileKind, Rules
from paidleave.dor.importing.pipeline import import_files
from paidleave.dor.importing.steps import Steps
from paidleave.dor.kinds.employer_file import EMPLOYER_KIND
from paidleave.dor.kinds.exempt_file import make_exempt_kind
from paidleave.dor.kinds.response_file import make_response_kind
from paidleave.dor.kinds.submission import make_submission_kind
from paidleave.dor.kinds.wage_file import make_wage_kind
from tests.dor.imports import DAILY, EMPLOYER_FILE, EXEMPT, RESPONSE, SUBMISSION, WAGE_FILE, DorWorld
from tests.dor.lines import csv_row, employer_line, quarter_line, response_a, response_b, returning_csv, wage_line

SQL = resources.files("paidleave.dor") / "sql"
STEPS_AFTER_RULES = {
    "repeats/90_mark_imported_lines",
    "repeats/91_update_reasons",
    "repeats/92_supersede_lines",
}
FILES = sorted(Path(str(SQL)).rglob("*.sql"))


class RecordedSteps(Steps):
    """Steps that also append their names to ``names``."""

    def __init__(self, steps: Steps, names: list[str]) -> None:
        self._steps = steps
        self._names = names

    def run(self, step: str, **values: object) -> int:
        self._names.append(step)
        return self._steps.run(step, **values)

    def select_counts(self, step: str) -> dict[str, int]:
        self._names.append(step)
        return self._steps.select_counts(step)

    def select_rows(self, step: str) -> Iterator[tuple[Any, ...]]:
        self._names.append(step)
        return self._steps.select_rows(step)

    def copy(self, table: str, frame: pl.DataFrame) -> None:
        self._steps.copy(table, frame)

    def lock_references(self, key: str, rows: LiteralString) -> None:
        self._steps.lock_references(key, rows)

    def analyze(self, table: str) -> None:
        self._steps.analyze(table)


class RecordedRules:
    """Rules that also record their steps."""

    def __init__(self, rules: Rules, names: list[str]) -> None:
        self._rules = rules
        self._names = names

    @property
    def staging(self) -> Sequence[str]:
        self._names += self._rules.staging
        return self._rules.staging

    def screen(self, batch: Batch) -> Screened:
        return self._rules.screen(batch)

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        return self._rules.apply(RecordedSteps(steps, self._names), staged)


def recorded(kind: FileKind, names: list[str]) -> FileKind:
    return replace(kind, rules=lambda lookups, file: RecordedRules(kind.rules(lookups, file), names))


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    world = DorWorld(database, tmp_path / "dor")
    (tmp_path / "dor" / "send").mkdir(parents=True)
    # New and known employers take different steps.
    world.execute(
        "INSERT INTO employer (employer_id, employer_fein, account_key, dor_updated_date)"
        " VALUES (gen_random_uuid(), '100000001', '44100000001', '2020-01-01'),"
        " (gen_random_uuid(), '100000002', '44100000002', '2020-01-01')"
    )
    return world


def run_recorded(world: DorWorld, job: BackgroundTask[Any], kind: FileKind) -> list[str]:
    """Import the files of ``kind`` and return the steps in the order in which they ran."""
    names: list[str] = []
    settings = {name.lower(): value for name, value in world.environment().items()}
    import_files([recorded(kind, names)], job.settings.model_validate(settings), Run(Runtime.read(job.name)))
    return names


def daily_employers(world: DorWorld) -> list[str]:
    world.put(EMPLOYER_FILE, employer_line() + b"\n" + employer_line("100000003", "44100000003") + b"\n")
    return run_recorded(world, DAILY, EMPLOYER_KIND)


def daily_wages(world: DorWorld) -> list[str]:
    world.put(WAGE_FILE, quarter_line() + b"\n" + wage_line() + b"\n")
    run_recorded(world, DAILY, make_wage_kind())
    changed = quarter_line(total="1.00", updated="20200502120000") + b"\n" + wage_line(quarter="1.00") + b"\n"
    world.put(WAGE_FILE[:-1] + "3", changed + wage_line(account_key="44100000002") + b"\n")
    return run_recorded(world, DAILY, make_wage_kind())


def exempt(world: DorWorld) -> list[str]:
    known = response_a() + b"\n" + response_b() + b"\n"
    world.put("DORDUADFML_20260107200000", known + response_a("100000003") + b"\n" + response_b() + b"\n")
    return run_recorded(world, EXEMPT, make_exempt_kind())


def response(world: DorWorld) -> list[str]:
    for number, fein in enumerate(("100000001", "100000003")):
        world.put(f"CompaniesReturningToStatePlan{number}.csv", returning_csv(csv_row(fein)))
    known = response_a(quarter="20211231") + b"\n" + response_b() + b"\n"
    world.put("DORDUADFML_SUBMISSION_20260107200000", known + response_a("100000003") + b"\n" + response_b() + b"\n")
    return run_recorded(world, RESPONSE, make_response_kind(str(world.csvs), 16, quiet_seconds=0))


def submission(world: DorWorld) -> list[str]:
    world.put("CompaniesReturningToStatePlan.csv", returning_csv(csv_row("100000005"), csv_row("100000006")))
    return run_recorded(world, SUBMISSION, make_submission_kind(str(world.dor / "send")))


KINDS = {
    "employers": daily_employers,
    "wages": daily_wages,
    "exempt": exempt,
    "response": response,
    "submission": submission,
}


def number(step: str) -> int:
    return int(step.rpartition("/")[2][:2])


@pytest.mark.parametrize("kind", KINDS)
def test_steps_run_in_the_order_of_their_numbers(world: DorWorld, kind: str) -> None:
    steps = KINDS[kind](world)
    assert len(steps) > 2
    assert [number(step) for step in steps] == sorted(number(step) for step in steps)
    different = set(steps)
    assert len({number(step) for step in different}) == len(different), "two steps of a kind share a number"


def test_every_file_is_a_step_of_a_kind(world: DorWorld) -> None:
    ran = {step for kind in (daily_employers, daily_wages, exempt, response, submission) for step in kind(world)}
    assert ran | STEPS_AFTER_RULES == {_step(file) for file in FILES}


def _step(file: Path) -> str:
    return str(file.relative_to(Path(str(SQL))).with_suffix(""))


@pytest.mark.parametrize("file", FILES, ids=_step)
def test_file_begins_with_a_comment_line(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("-- ")
    assert first.endswith(".")
