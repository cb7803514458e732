"""``dor-import-exempt``: import employers with a private plan, their employees and wages.

DOR's daily files do not contain these employers.
"""

from __future__ import annotations

from nightferry import Run, background_task
from paidleave.dor.importing.replay import import_or_replay
from paidleave.dor.kinds.exempt_file import make_exempt_kind
from paidleave.dor.settings import DorImportExemptSettings


@background_task("dor-import-exempt", DorImportExemptSettings)
def main(settings: DorImportExemptSettings, run: Run) -> None:
    """Import every complete file of exempt employers in ``FOLDER_PATH``; stop at the first failure."""
    import_or_replay([make_exempt_kind(reject_implausible_ssns=settings.reject_implausible_ssns)], settings, run)
