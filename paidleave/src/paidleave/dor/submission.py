"""``dor-create-pending-filing-submission``: submit to DOR the employers that return to the state plan.

::

    CompaniesReturningToStatePlan….csv ── rows ── staging ── one line per FEIN ── send/DORDUADFML_SUBMISSION_<time>
"""

from __future__ import annotations

from nightferry import Run, background_task
from paidleave.dor.importing.pipeline import import_files
from paidleave.dor.kinds.submission import make_submission_kind
from paidleave.dor.settings import PendingFilingSubmissionSettings


@background_task("dor-create-pending-filing-submission", PendingFilingSubmissionSettings)
def main(settings: PendingFilingSubmissionSettings, run: Run) -> None:
    """Write a submission for DOR from every CSV in ``INPUT_FOLDER_PATH``/received that has not been submitted."""
    import_files([make_submission_kind(settings.send_folder)], settings, run)
