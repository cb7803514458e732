"""Generator of reproducible DOR files for tests, demonstrations and benchmarks.

::

    employers, employees, quarters (columns of values, drawn by number) ── lines ── writer ── stream
                                                             duplicates, bad lines, line ends ─┘

Employers are generated in blocks. The wage file contains all A lines of a block, then all B lines. The data of an
employer does not depend on the number of employers.
"""

from paidleave.dor.generate.command import main
from paidleave.dor.generate.files import Population, write_employer_file, write_wage_file
from paidleave.dor.generate.writing import WriteCounts, WriteOptions

__all__ = ["Population", "WriteCounts", "WriteOptions", "main", "write_employer_file", "write_wage_file"]
