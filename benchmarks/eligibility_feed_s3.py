"""The eligibility feed to S3 against the same S3 client that writes the same objects and does nothing else.

The export is a separate ``fineos-eligibility-feed-export`` process in full mode. The limit is a process that has the
bytes of the export's objects in memory, and writes them with ``put_object`` to the same bucket: the same library with
the same configuration, the same number of threads, and keys of the same form. Both run in turn.

The server is ``rclone serve s3`` on a folder of this machine, a process of its own with one thread per core. It is
faster than the client, which is Python code in one process: the client is the limit of both sides. An object counts
when it has its name in the server's folder. The rate is that between the first and the last object, because an export
starts to write only when the database has sorted all rows; the rate with the start of the process is printed beside it.

rclone runs from ``.venv-bench``, which ``make bench`` creates.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import database
from benchmarks.eligibility_feed import load_employees, run_export
from benchmarks.judge import MISSING, Ratio, judge, note_version
from benchmarks.processes import measure
from paidleave.fineos.eligibility_feed.command import WRITER_THREADS

RCLONE = Path(__file__).parents[1] / ".venv-bench" / "bin" / "rclone"
MINIMUM = 0.9
"""The client alone has both cores with the server. Beside the export's client, the database and the splitting of its
rows need a part of them, about a tenth of the client's time per object."""

_BUCKET = "feed"
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "unused-secret", "AWS_REGION": "us-east-1"}


class Rate(NamedTuple):
    """Objects per second, between the first and the last object and from the process's start to its exit."""

    objects: float
    with_start: float


def main(employees: int = 45_000, repeat: int = 3) -> None:
    """Print medians of ``repeat`` exports of about ``employees`` employees, fifteen of them at an employer."""
    if not RCLONE.exists():
        print("rclone is not installed: make bench installs it in .venv-bench. The feed to S3 is not measured.")
        note_version("rclone", MISSING)
        return
    note_version("rclone", subprocess.run([RCLONE, "version"], capture_output=True, text=True).stdout.split()[1])
    with database.directory() as directory, database.server(directory) as server:
        load_employees(server, employees)
        bucket = directory / "s3" / _BUCKET
        bucket.mkdir(parents=True)
        exports, clients, number = [], [], 0
        with _serve(bucket.parent) as endpoint:
            variables = {**_CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
            for number in range(repeat):
                exported, alone = f"export-{number}", f"client-{number}"
                seconds, _ = run_export(server.conninfo("bench"), f"s3://{_BUCKET}/{exported}", **variables)
                exports.append(_rate(bucket / exported, seconds))
                seconds = _write_alone(bucket / exported, alone, variables)
                clients.append(_rate(bucket / alone, seconds))
                _check_equal(bucket / exported, bucket / alone)
        count = len(_list_files(bucket / f"export-{number}"))
    print(f"{count:,} objects, {WRITER_THREADS} threads; medians of {repeat} runs")
    print(f"{'':34}{'objects/s':>11}{'with process start':>20}")
    for name, rates in (("feed export to S3", exports), ("the same client alone", clients)):
        print(f"{name:34}{_median(rates).objects:11,.0f}{_median(rates).with_start:20,.0f}")
    judge(
        Ratio("feed export to S3 / the same client alone", _median(exports).objects / _median(clients).objects, MINIMUM)
    )


def _median(rates: list[Rate]) -> Rate:
    return Rate(*(statistics.median(values) for values in zip(*rates, strict=True)))


@contextmanager
def _serve(folder: Path) -> Iterator[str]:
    """Serve the subfolders of ``folder`` as buckets, and yield the endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key = f"{_CREDENTIALS['AWS_ACCESS_KEY_ID']},{_CREDENTIALS['AWS_SECRET_ACCESS_KEY']}"
    process = subprocess.Popen(
        [RCLONE, "serve", "s3", folder, "--addr", f"127.0.0.1:{port}", "--auth-key", key],
        env={"PATH": os.environ["PATH"], "RCLONE_CONFIG": os.devnull, "HOME": str(folder.parent)},
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("rclone serve s3 did not start.") from None
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _write_alone(folder: Path, prefix: str, variables: Mapping[str, str]) -> float:
    """Write the files of ``folder`` with the client alone, and return the seconds."""
    copy = folder.parents[1].with_name("objects")
    shutil.copytree(folder, copy)  # The server's cache of the folder does not matter then.
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "benchmarks.peer_programs.s3_put",
        copy,
        _BUCKET,
        prefix,
        str(WRITER_THREADS),
    ]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    seconds = measure(command, environment).seconds
    shutil.rmtree(copy)
    return seconds


def _list_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.csv"))


def _rate(folder: Path, seconds: float) -> Rate:
    """Return the rates at which the objects in ``folder`` got their names, and of a process of ``seconds``."""
    times = sorted(file.stat().st_ctime for file in _list_files(folder))
    return Rate((len(times) - 1) / (times[-1] - times[0]), len(times) / seconds)


def _check_equal(first: Path, second: Path) -> None:
    """Raise AssertionError unless both folders have the same files."""
    ours, theirs = (
        {file.relative_to(folder): file.read_bytes() for file in _list_files(folder)} for folder in (first, second)
    )
    assert ours == theirs


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
