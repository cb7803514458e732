"""Every reason for which the importers reject a line is declared in the catalog, with its meaning and a request."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from paidleave import dor
from paidleave.catalog import catalog
from paidleave.dor.files import returning_csv
from paidleave.dor.importing.file_kind import FileKind
from paidleave.dor.kinds.employer_file import EMPLOYER_KIND
from paidleave.dor.kinds.exempt_file import make_exempt_kind
from paidleave.dor.kinds.response_file import make_response_kind
from paidleave.dor.kinds.submission import make_submission_kind
from paidleave.dor.kinds.wage_file import make_wage_kind
from paidleave.fineos.employee_updates import update_file

DOR_KINDS = ("dor-employer-file", "dor-wage-file", "dor-exempt-file", "dor-pending-filing-response")
# The argument with the reason, of each function that makes a rejected line.
REASON_ARGUMENT = {"Reject": 2, "Check": 1, "_Invalid": -1, "_parse_time": 3}
CSV_REASONS = {"_Invalid"}
CSV_MODULES = {returning_csv}


def list_modules() -> Iterator[ModuleType]:
    """Yield the modules that reject lines of DOR's files."""
    root = Path(inspect.getfile(dor)).parent
    for folder in ("files", "kinds"):
        for path in sorted((root / folder).glob("*.py")):
            yield import_module(f"paidleave.dor.{folder}.{path.stem}")


def find_reasons(module: ModuleType) -> Iterator[str]:
    """Yield the reasons in the calls of a module; of a text with values, the part before the first one."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REASON_ARGUMENT:
            place = REASON_ARGUMENT[node.func.id]
            if len(node.args) > max(place, 0):
                yield from read_texts(node.args[place], module)


def read_texts(node: ast.expr, module: ModuleType) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=name) if name.isupper():
            yield getattr(module, name)
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            yield text.rstrip()
        case ast.JoinedStr(values=[ast.FormattedValue(value=value), *_]):
            yield from read_texts(value, module)
        case ast.Name() | ast.Call() | ast.Attribute() | ast.Starred():
            return  # a reason that another call has made
        case _:
            pytest.fail(f"{module.__name__}: the test cannot read the reason in {ast.unparse(node)}")


def list_dor_reasons() -> set[str]:
    return {reason for module in list_modules() if module not in CSV_MODULES for reason in find_reasons(module)}


def list_csv_reasons() -> set[str]:
    shared = {"not 9 digits", "placeholder number"}
    return shared | set(find_reasons(returning_csv))


def list_update_reasons() -> set[str]:
    """Return the reasons of FINEOS's employee updates: in the functions that check a row, and in an SQL step."""
    found = {update_file._BLANK}
    for function in (update_file._find_line_problems, update_file._find_row_problem, update_file._build_checks):
        texts = {
            node.value for node in ast.walk(ast.parse(inspect.getsource(function))) if isinstance(node, ast.Constant)
        }
        found |= {text for text in texts if isinstance(text, str) and " " in text.strip() and "\n" not in text}
        found -= {function.__doc__}
    sql = Path(inspect.getfile(update_file)).parent / "sql" / "21_reject_unmatched_rows.sql"
    return found | {text for text in sql.read_text(encoding="utf-8").split("'")[1::2] if " " in text} - {"no SSN"}


def test_the_test_finds_the_reasons() -> None:
    assert len(list_dor_reasons()) >= 18
    assert {"blank line", "invalid line length", "unknown account key", "implausible SSN"} <= list_dor_reasons()
    assert len(list_csv_reasons()) == 5
    assert len(list_update_reasons()) == 9


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [
        *((kind, list_dor_reasons()) for kind in DOR_KINDS),
        ("returning-employers-csv", list_csv_reasons()),
        ("fineos-employee-updates", list_update_reasons()),
    ],
    ids=[*DOR_KINDS, "returning-employers-csv", "fineos-employee-updates"],
)
def test_every_reason_has_a_meaning_and_a_request_and_none_is_unused(kind: str, reasons: set[str]) -> None:
    declared = catalog.reports[kind]
    missing = {reason for reason in reasons if declared.find_reason(reason) is None}
    assert not missing, f"catalog.reports has no meaning for {missing}"
    used = {found.text for reason in reasons if (found := declared.find_reason(reason))}
    assert {reason.text for reason in declared.reasons} == used
    for reason in declared.reasons:
        assert reason.meaning.endswith(".")
        assert reason.request.startswith("Please ")
        assert reason.request.endswith(".")


def test_each_kind_of_file_has_declared_reports() -> None:
    kinds: list[FileKind] = [
        EMPLOYER_KIND,
        make_wage_kind(),
        make_exempt_kind(),
        make_response_kind("csv", 1, quiet_seconds=0),
        make_submission_kind("send"),
    ]
    assert {kind.name for kind in kinds} == {*DOR_KINDS, "returning-employers-csv"}
    for kind in kinds:
        assert kind.name in catalog.reports
