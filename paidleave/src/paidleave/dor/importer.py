"""``dor-import``: import DOR's employer files, then its wage files."""

from __future__ import annotations

from nightferry.job import Run, background_task
from paidleave.dor.importing.pipeline import import_files
from paidleave.dor.kinds.employer_file import EMPLOYER_KIND
from paidleave.dor.kinds.wage_file import WAGE_KIND
from paidleave.dor.settings import DorImportSettings


@background_task("dor-import", DorImportSettings)
def main(settings: DorImportSettings, run: Run) -> None:
    """Import every complete file in ``FOLDER_PATH``; stop at the first failure."""
    import_files([EMPLOYER_KIND, WAGE_KIND], settings, run)
