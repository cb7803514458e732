"""The replay of rejected lines after their cause is gone, for example a missing employer file.

::

    rejected/NAME.rej ── lines without a later import ── read ── screen ─┬─ accepted ── SQL steps ── marked
                                                                         └─ rejected ── remain, with their new reason

The lines of the file are those in ``dor_rejected_line``, in the same order. Neither is deleted. The transaction that
imports a line sets its column ``superseded_by``, so that a line is imported once, even if a replay is killed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import polars as pl
import psycopg

from nightferry import JobFailed, Run, get_logger, storage
from paidleave.db.import_log import import_log
from paidleave.dor import encryption
from paidleave.dor.files.batch import REJECT_SCHEMA
from paidleave.dor.importing import history
from paidleave.dor.importing.failures import wrap_errors
from paidleave.dor.importing.file_kind import FileKind, Rules
from paidleave.dor.importing.history import Import
from paidleave.dor.importing.pipeline import import_files, open_context
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.rejected_lines import RejectedLines
from paidleave.dor.importing.report import LineCounts
from paidleave.dor.importing.staging import Staging
from paidleave.dor.importing.transaction import ImportContext, open_transaction
from paidleave.dor.settings import Decryption, DorFilesSettings
from paidleave.file_limits import ByteSource

log = get_logger(__name__)


def import_or_replay(kinds: Sequence[FileKind], settings: DorFilesSettings, run: Run) -> None:
    """Import the files in the folder, or only the rejected lines of the file that the setting ``REPLAY`` names."""
    if settings.replay:
        _replay_file(kinds, settings, run)
    else:
        import_files(kinds, settings, run)


def _replay_file(kinds: Sequence[FileKind], settings: DorFilesSettings, run: Run) -> None:
    name = settings.replay
    kind = next((kind for kind in kinds if kind.layout.matches(name)), None)
    with open_context(settings, run) as context:
        imports = history.list_imports(context.control, kind.layout.name, name) if kind else []
        if kind is None or not imports:
            raise JobFailed(
                f"REPLAY={name} is not a file that this job has imported. The names of imported files are in "
                "dor_imported_file."
            )
        open_imports = [(number, each) for number, each in enumerate(imports, 1) if each.has_open_rejects]
        if not open_imports:
            log.info("all lines of the file are imported; there are none to replay", extra={"file": name})
        for number, each in open_imports:
            Replay(kind, each, number, context).run()


class Replay:
    """The replay of the rejected lines of ``source``, which is the import with ``number`` among those of its name."""

    def __init__(self, kind: FileKind, source: Import, number: int, context: ImportContext) -> None:
        self._kind = kind
        self._source = source
        self._context = context
        self._file = ReceivedFile(context.settings.received_folder, source.name, kind.layout, source.imported_at)
        self._uri = self._file.build_rejected_uri(number)
        self._lines = LineCounts(kind)

    def run(self) -> None:
        """Import the lines that are accepted now; the others remain rejected."""
        kind, name = self._kind, self._file.name
        log.info("replaying rejected lines", extra={"file": name})
        with import_log(
            self._context.connect, source=kind.source, import_type=kind.import_type, run=self._context.run
        ) as entry:
            entry.report |= {field: name if is_file_type else "" for field, is_file_type in kind.report.items()}
            entry.report |= self._context.key_report
            with wrap_errors(f"the rejected lines of {name} were not imported"):
                entry.report |= self._import(entry.id)
        log.info("rejected lines replayed", extra={"file": name} | entry.report)
        # The lines that remain rejected belong to the report of the import.
        self._context.run.report(
            kind.name,
            name,
            self._lines.count_outcomes(entry.report),
            total=self._lines.lines,
            reasons=self._lines.reasons,
            note="replay of rejected lines",
        )

    def _import(self, import_log_id: int) -> dict[str, int]:
        rules = self._kind.rules(self._context.control, self._file)
        with (
            self._context.connect() as connection,
            open_transaction(connection, import_log_id, rules) as steps,
        ):
            lines = RejectedLines.read(connection, self._source.import_log_id)
            rejected = self._stage(connection, rules, lines)
            source = {"replayed_import_log_id": self._source.import_log_id}
            accepted = lines.open.filter(~lines.open.is_in(rejected["line_number"].implode()))
            steps.set_repeat(
                kind=self._kind.layout.name, digest=self._source.digest, file_time=self._source.time, is_replay=True
            )
            counts = self._lines.build_report()
            if len(accepted):
                counts |= rules.apply(steps, self._lines.staged)
            steps.run("repeats/90_mark_imported_lines", line_numbers=accepted.to_list(), **source)
            steps.run(
                "repeats/91_update_reasons",
                **{f"{column}s": rejected[column].to_list() for column in rejected.columns},
                **source,
            )
            if len(accepted):
                history.record_import(
                    connection,
                    self._file,
                    self._source.digest,
                    import_log_id=import_log_id,
                    run_id=self._context.run.id,
                    lines=len(accepted),
                    replayed=self._source.import_log_id,
                )
        return counts | {"replayed_lines_count": len(accepted)}

    def _stage(self, connection: psycopg.Connection[Any], rules: Rules, lines: RejectedLines) -> pl.DataFrame:
        """Load the accepted lines into the staging tables and return the rejected ones."""
        rejects = [pl.DataFrame(schema=REJECT_SCHEMA)]
        with (
            _open_rejected(self._uri, self._context.settings.decryption) as plain,
            Staging(connection) as staging,
            self._context.run.progress(f"replay {self._file.name}", None, "lines") as progress,
        ):
            for batch in lines.renumber(self._kind.read(lines.select_open(plain))):
                screened = rules.screen(batch)
                for table, frame in screened.staged.items():
                    staging.copy(table, frame)
                counted = lines.drop_separators(batch)
                rejects += [counted.rejects, screened.rejects]
                self._lines.add(counted, screened)
                progress.advance(counted.lines)
        return pl.concat(rejects)


@contextmanager
def _open_rejected(uri: str, decryption: Decryption | None) -> Iterator[ByteSource]:
    try:
        opened = storage.open_read(uri)
    except storage.ObjectNotFound as error:
        raise JobFailed(f"{error} Restore it, or import the received file again with REIMPORT.") from None
    with (
        opened as stored,
        encryption.decrypt(stored, decryption.key, decryption.passphrase)
        if decryption
        else nullcontext(stored) as plain,
    ):
        yield plain
