"""dor-generate: write an employer file and a wage file of invented people into a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from longshore import storage
from longshore.job import JobFailed, Run, background_task, get_logger
from paidleave.dor import gpg
from paidleave.dor.formats import EMPLOYER_FILE, WAGE_FILE, Layout
from paidleave.dor.generate.files import Population, write_employer_file, write_wage_file
from paidleave.dor.generate.writing import Advance, Impurities, Target, Written
from paidleave.dor.settings import DorGenerateSettings

log = get_logger(__name__)

_Write = Callable[[Target, Population, Impurities, Advance], Written]


@background_task("dor-generate", DorGenerateSettings)
def main(settings: DorGenerateSettings, run: Run) -> None:
    """Write an employer file and a wage file of invented people into a folder; each appears when it is complete."""
    timestamp = settings.timestamp or datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    try:
        population = Population(
            employers=settings.count,
            seed=settings.seed,
            update=settings.update,
            day=settings.day,
            foreign_share=settings.foreign_share,
            non_ascii_every=settings.non_ascii_every,
        )
        _write(EMPLOYER_FILE, write_employer_file, population, timestamp, settings, run)
        _write(WAGE_FILE, write_wage_file, population, timestamp, settings, run)
    except ValueError as error:
        raise JobFailed(str(error)) from error


def _write(
    layout: Layout, write: _Write, population: Population, timestamp: str, settings: DorGenerateSettings, run: Run
) -> None:
    name = layout.file_name(timestamp)
    impurities = Impurities(
        bad_share=settings.bad_share,
        duplicate_share=settings.duplicate_share,
        crlf=settings.crlf,
        last_line_end=settings.last_line_end,
    )
    with (
        run.progress(f"writing the {layout.name}", None, "lines") as progress,
        storage.open_write(storage.join(settings.folder, name)) as file,
        _encrypted(file, settings.gpg_public_key) as target,
    ):
        written = write(target, population, impurities, progress.advance)
    counts = {"good": written.good, "duplicates": written.duplicates, "bad": written.bad, "bytes": written.bytes}
    log.info("file written", extra={"file": name, "lines": written.lines, **counts})


@contextmanager
def _encrypted(file: Target, public_key: str) -> Iterator[Target]:
    """``file`` itself, or what encrypts into it."""
    if not public_key:
        yield file
        return
    if not public_key.lstrip().startswith("-----BEGIN"):
        with storage.open_read(public_key) as stored:
            public_key = stored.read().decode(errors="replace")
    with gpg.encrypt(file, public_key) as stream:
        yield stream
