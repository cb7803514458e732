"""``dor-pending-filing-response-import``: import DOR's response about employers returning to the state plan.

::

    CSVs of employers returning ─┐
    response ────────────────────┴─► the database ──► processed

Used CSVs are moved after all responses have been imported. After a crash, a CSV is still available to the responses
that need it, and the next run moves it.
"""

from __future__ import annotations

from nightferry import Run, background_task, get_logger
from paidleave.db.connection import connect
from paidleave.dor.files.formats import RETURNING_CSV
from paidleave.dor.importing import received
from paidleave.dor.importing.failures import wrap_errors
from paidleave.dor.importing.replay import import_or_replay
from paidleave.dor.kinds.response_file import is_used, make_response_kind
from paidleave.dor.settings import PendingFilingResponseSettings
from paidleave.file_limits import limit_size

log = get_logger(__name__)


@background_task("dor-pending-filing-response-import", PendingFilingResponseSettings)
def main(settings: PendingFilingResponseSettings, run: Run) -> None:
    """Import every complete response in ``FOLDER_PATH``, then move the used CSVs to 'processed'."""
    kind = make_response_kind(
        settings.csv_folder_path,
        settings.csv_size_limit_mb,
        quiet_seconds=settings.quiet_seconds,
        reject_implausible_ssns=settings.reject_implausible_ssns,
    )
    import_or_replay([kind], settings, run)
    if not settings.retain_received_files:
        _move_used_csvs(settings)


def _move_used_csvs(settings: PendingFilingResponseSettings) -> None:
    """Move the CSVs that responses have used; call this when no response is left to import."""
    with connect(settings, autocommit=True) as connection:
        for csv in received.find_files(settings.csv_folder_path, [RETURNING_CSV]):
            if csv.size > limit_size(settings.csv_size_limit_mb).size:
                continue  # No response can have used it.
            digest, version = received.read_digest(csv)
            if is_used(connection, csv, digest):
                target = received.find_processed_uri(connection, csv, digest)
                with wrap_errors(f"{csv.name} was used, but cannot be moved; the next run will move it"):
                    moved = received.move_to_processed(csv, target, version)
                if moved:
                    log.info("CSV moved to processed", extra={"file": csv.name})
