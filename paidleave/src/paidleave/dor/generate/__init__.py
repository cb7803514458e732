"""Invented DOR files for tests, demonstrations and benchmarks: any number of employers, always the same by seed.

::

    employers, employees, quarters (columns of values, drawn by number) ── lines ── writer ── stream
                                                             duplicates, bad lines, line ends ─┘

Employers are generated in blocks: of each block the wage file has first all A lines, then all B lines. The same
employer has the same data however many employers there are.
"""

from paidleave.dor.generate.command import main
from paidleave.dor.generate.files import Population, write_employer_file, write_wage_file
from paidleave.dor.generate.writing import WriteCounts, WriteOptions

__all__ = ["Population", "WriteCounts", "WriteOptions", "main", "write_employer_file", "write_wage_file"]
