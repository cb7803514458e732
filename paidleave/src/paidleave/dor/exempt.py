"""``dor-import-exempt``: add the employers with a private plan, their employees and wages to the database.

DOR's daily files do not contain them.
"""

from __future__ import annotations

from nightferry.job import Run, background_task
from paidleave.dor.importing.pipeline import import_files
from paidleave.dor.kinds.exempt_file import EXEMPT_KIND
from paidleave.dor.settings import DorImportExemptSettings


@background_task("dor-import-exempt", DorImportExemptSettings)
def main(settings: DorImportExemptSettings, run: Run) -> None:
    """Import every complete file of exempt employers in ``FOLDER_PATH``; the first that fails ends the run."""
    import_files([EXEMPT_KIND], settings, run)
