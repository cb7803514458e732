"""``dor-import``: load DOR's employer and wage files into the database, all employer files before all wage files."""

from __future__ import annotations

from nightferry.job import Run, background_task
from paidleave.dor.files.formats import EMPLOYER_FILE, WAGE_FILE
from paidleave.dor.importing.file_kind import EMPLOYERS, QUARTERS, WAGES, FileKind
from paidleave.dor.importing.pipeline import import_files
from paidleave.dor.kinds.employer_file import EmployerFile
from paidleave.dor.kinds.wage_file import WageFile
from paidleave.dor.settings import DorImportSettings

_EMPLOYERS = FileKind(
    EMPLOYER_FILE,
    subjects=(EMPLOYERS,),
    source="DOR",
    import_type="Initial",
    report={"employer_file": True, "employee_file": False},
    rules=lambda lookups, _: EmployerFile(lookups),
)
_WAGES = FileKind(
    WAGE_FILE,
    subjects=(QUARTERS, WAGES),
    source="DOR",
    import_type="Initial",
    report={"employer_file": False, "employee_file": True},
    rules=lambda lookups, _: WageFile(lookups),
)


@background_task("dor-import", DorImportSettings)
def main(settings: DorImportSettings, run: Run) -> None:
    """Import every complete file in ``FOLDER_PATH``; the first that fails ends the run."""
    import_files([_EMPLOYERS, _WAGES], settings, run)
