"""Show the change between two runs of the benchmarks: ``make bench-compare A=… B=…``."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.results import Results, compare


def main() -> None:
    """Print the table of changes between the two files of results on the command line."""
    if len(sys.argv) != 3 or not all(sys.argv[1:]):
        raise SystemExit("Give two files of results: make bench-compare A=build/benchmarks/… B=build/benchmarks/…")
    before, after = (Results.read(Path(name)) for name in sys.argv[1:])
    for line in compare(before, after):
        print(line)


if __name__ == "__main__":
    main()
