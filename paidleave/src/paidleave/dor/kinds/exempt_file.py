"""The rules of a file of exempt employers.

A new employer in the file is fully exempt without an end date. An existing employer is not changed, because a daily
file or a return to the state plan may have set newer exemptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from paidleave.dor.files import reader
from paidleave.dor.files.batch import Batch
from paidleave.dor.files.formats import EXEMPT_FILE
from paidleave.dor.files.screening import Screened
from paidleave.dor.importing.file_kind import EMPLOYERS, WAGES, FileKind
from paidleave.dor.importing.steps import Steps
from paidleave.dor.kinds import response_lines
from paidleave.dor.kinds.response_lines import ResponseLines

_KEY_PREFIX = "exempt_employer_"


class ExemptFile:
    """The rules of one file of exempt employers."""

    staging = response_lines.STAGING

    def __init__(self, lines: ResponseLines) -> None:
        self._lines = lines

    def screen(self, batch: Batch) -> Screened:
        """Screen the lines as defined in :mod:`paidleave.dor.kinds.response_lines`."""
        return self._lines.screen(batch)

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        """Write the staged rows and return the counts for the report; ``staged`` is the number of rows by table.

        A lines are counted as employers: one line creates the employer, and those of other quarters are unmodified.
        """
        employers = response_lines.identify_employers(steps)
        steps.run("exempt/30_set_exemptions")
        response_lines.create_employers(steps, _KEY_PREFIX)
        unmodified = staged[response_lines.QUARTERS_TABLE] - employers.new - employers.repeated
        counts = {
            "created_employers_count": employers.new,
            "updated_employers_count": 0,
            "unmodified_employers_count": unmodified,
            "duplicate_employers_count": employers.repeated,
        }
        return counts | response_lines.add_wages(steps, staged[response_lines.WAGES_TABLE])


def make_exempt_kind(*, reject_implausible_ssns: bool = False) -> FileKind:
    """Return the kind of exempt files."""
    return FileKind(
        EXEMPT_FILE,
        name="dor-exempt-file",
        subjects=(EMPLOYERS, WAGES),
        source="DOR_EXEMPT",
        import_type="Exempt Employers",
        report={"employer_file": True, "employee_file": True},
        read=partial(reader.read, layout=EXEMPT_FILE),
        rules=lambda _lookups, _file: ExemptFile(ResponseLines(reject_implausible_ssns=reject_implausible_ssns)),
    )
