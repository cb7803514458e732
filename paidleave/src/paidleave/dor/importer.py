"""``dor-import``: import DOR's employer files, then its wage files."""

from __future__ import annotations

from nightferry import Run, background_task
from paidleave.dor.importing.replay import import_or_replay
from paidleave.dor.kinds.employer_file import EMPLOYER_KIND
from paidleave.dor.kinds.wage_file import make_wage_kind
from paidleave.dor.settings import DorImportSettings


@background_task("dor-import", DorImportSettings)
def main(settings: DorImportSettings, run: Run) -> None:
    """Import every complete file in ``FOLDER_PATH``; stop at the first failure."""
    wages = make_wage_kind(
        in_order=not settings.allow_older_files, reject_implausible_ssns=settings.reject_implausible_ssns
    )
    import_or_replay([EMPLOYER_KIND, wages], settings, run)
