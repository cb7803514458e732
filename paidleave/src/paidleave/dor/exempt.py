"""``dor-import-exempt``: import employers with a private plan, their employees and wages.

DOR's daily files do not contain these employers.
"""

from __future__ import annotations

from nightferry.job import Run, background_task
from paidleave.dor.importing.pipeline import import_files
from paidleave.dor.kinds.exempt_file import EXEMPT_KIND
from paidleave.dor.settings import DorImportExemptSettings


@background_task("dor-import-exempt", DorImportExemptSettings)
def main(settings: DorImportExemptSettings, run: Run) -> None:
    """Import every complete file of exempt employers in ``FOLDER_PATH``; stop at the first failure."""
    import_files([EXEMPT_KIND], settings, run)
