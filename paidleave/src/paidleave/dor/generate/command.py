"""``dor-generate``: write files of generated employers and people, like those of DOR and the agency."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

from nightferry import JobFailed, Run, background_task, get_logger, storage
from paidleave.dor import encryption
from paidleave.dor.files.formats import EMPLOYER_FILE, EXEMPT_FILE, RESPONSE_FILE, RETURNING_CSV, WAGE_FILE
from paidleave.dor.files.streams import ByteTarget
from paidleave.dor.generate.files import Population, write_employer_file, write_wage_file
from paidleave.dor.generate.private_plans import write_exempt_file, write_response_file, write_returning_csv
from paidleave.dor.generate.writing import Advance, WriteCounts, WriteOptions
from paidleave.dor.settings import DorGenerateSettings

log = get_logger(__name__)

_Write = Callable[[ByteTarget, Population, WriteOptions, Advance], WriteCounts]


@background_task("dor-generate", DorGenerateSettings)
def main(settings: DorGenerateSettings, run: Run) -> None:
    """Write files of generated employers and people to a folder; a file appears only when it is complete."""
    if not settings.allowed:
        raise JobFailed(
            "no file was written: generated files are disabled in this environment. To enable them, set "
            "dor_files_generated = true in its file"
        )
    timestamp = settings.timestamp or datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    try:
        population = _make_population(settings)
        match settings.files:
            case "daily":
                _write(EMPLOYER_FILE.format_file_name(timestamp), write_employer_file, population, settings, run)
                _write(WAGE_FILE.format_file_name(timestamp), write_wage_file, population, settings, run)
            case "exempt":
                _write(EXEMPT_FILE.format_file_name(timestamp), write_exempt_file, population, settings, run)
            case "returning":
                _write(f"{RETURNING_CSV.prefix}_{timestamp}.csv", write_returning_csv, population, settings, run)
            case "response":
                _write(RESPONSE_FILE.format_file_name(timestamp), write_response_file, population, settings, run)
    except ValueError as error:
        raise JobFailed(str(error)) from error


def _make_population(settings: DorGenerateSettings) -> Population:
    update, day = settings.update, settings.day
    if settings.first_day is not None:
        day = (_get_today() - settings.first_day).days
        update, day = day > 0, max(day, 1)
    return Population(
        employers=settings.count,
        seed=settings.seed,
        update=update,
        day=day,
        foreign_share=settings.foreign_share,
        non_ascii_every=settings.non_ascii_every,
    )


def _get_today() -> date:
    return datetime.now(UTC).date()


def _write(name: str, write: _Write, population: Population, settings: DorGenerateSettings, run: Run) -> None:
    options = WriteOptions(
        bad_share=settings.bad_share,
        duplicate_share=settings.duplicate_share,
        crlf=settings.crlf,
        last_line_end=settings.last_line_end,
    )
    is_csv = write is write_returning_csv
    folder = settings.csv_folder or settings.folder if is_csv else settings.folder
    with (
        run.progress(f"writing {name}", None, "lines") as progress,
        storage.open_write(storage.join(folder, name)) as file,
        _open_target(file, "" if is_csv else settings.gpg_public_key) as target,
    ):
        written = write(target, population, options, progress.advance)
    counts = {"good": written.good, "duplicates": written.duplicates, "bad": written.bad, "bytes": written.bytes}
    log.info("file written", extra={"file": name, "lines": written.lines, **counts})


@contextmanager
def _open_target(file: ByteTarget, public_key: str) -> Iterator[ByteTarget]:
    """Yield ``file`` or a stream that encrypts into it."""
    if not public_key:
        yield file
        return
    if not public_key.lstrip().startswith("-----BEGIN"):
        with storage.open_read(public_key) as stored:
            public_key = stored.read().decode(errors="replace")
    with encryption.encrypt(file, public_key) as stream:
        yield stream
