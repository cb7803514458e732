"""Tries parsers of a registry, or prints one mutation.

::

    python -m nightferry.testing.fuzzing tests.fuzz.registry --only cron --seed 7 --count 1000    # try
    python -m nightferry.testing.fuzzing tests.fuzz.registry --only cron --seed 7 --show 12       # print an input
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import mmap
import os
import resource
import struct
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nightferry.testing.fuzzing import Parser, format_breaches, format_table, fuzz, trial

_ADDRESS_SPACE = 2 << 30
_FILE_BYTES = 32 << 20


def main() -> None:
    """Run the command."""
    arguments = _parse_arguments()
    parsers = {parser.name: parser for parser in importlib.import_module(arguments.registry).PARSERS}
    if arguments.progress is not None:
        _serve(parsers, arguments)
    elif arguments.show is not None:
        parser = parsers[arguments.only]
        sys.stdout.buffer.write(trial.make_input(parser, list(parser.seeds()), arguments.seed, arguments.show))
    else:
        names = [name for name in parsers if arguments.only is None or arguments.only in name]
        results = fuzz(arguments.registry, dict.fromkeys(names, arguments.count), arguments.seed)
        sys.stdout.write(f"{format_table(results)}\n{format_breaches(results)}\n")


def _serve(parsers: Mapping[str, Parser], arguments: argparse.Namespace) -> None:
    """Try the parsers that standard input names, one JSON array per line: name, first number, number after the last.

    The current folder and the place for temporary files are an empty folder, in which what a parser writes is counted.
    """
    logging.disable(logging.CRITICAL)
    output = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    progress = _open_progress(arguments.progress)
    _set_limits()

    def note(index: int) -> None:
        struct.pack_into("q", progress, 0, index)

    for line in sys.stdin:
        name, first, count = json.loads(line)
        with tempfile.TemporaryDirectory(dir=arguments.progress.parent) as folder:
            os.chdir(folder)
            tempfile.tempdir = folder
            found = trial.run(parsers[name], arguments.seed, range(first, count), arguments.coverage, note)
            tempfile.tempdir = None
            os.chdir("/")
        print(json.dumps(found.to_json()), file=output, flush=True)


def _open_progress(file: Path) -> mmap.mmap:
    with file.open("r+b") as opened:
        return mmap.mmap(opened.fileno(), 8)


def _set_limits() -> None:
    """Limit address space and files, which bounds an input that the measurements between inputs would see too late."""
    try:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + _ADDRESS_SPACE, resource.RLIM_INFINITY))
    except (OSError, ValueError):  # macOS has no /proc and does not limit the address space
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m nightferry.testing.fuzzing", description="Try parsers.")
    parser.add_argument("registry", help="module with the list PARSERS")
    parser.add_argument("--only", help="name of the parser, or a part of it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000, help="mutations per parser")
    parser.add_argument("--show", type=int, metavar="NUMBER", help="print this mutation instead")
    parser.add_argument("--coverage", type=int, default=500, help="mutations for which coverage is measured")
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)  # set by the supervisor
    return parser.parse_args()


if __name__ == "__main__":
    main()
