"""Writers of the employer file and the wage file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from paidleave.dor.files.formats import EMPLOYER, WAGE_A, WAGE_B
from paidleave.dor.files.streams import ByteTarget
from paidleave.dor.generate import employers, wages
from paidleave.dor.generate.lines import format_lines
from paidleave.dor.generate.writing import Advance, WriteCounts, WriteOptions, Writer, ignore_progress

_BLOCK_EMPLOYERS = 100


@dataclass(frozen=True)
class Population:
    """The employers in the files, including their employees."""

    employers: int
    seed: int = 0
    update: bool = False
    """True for the files of a later day, with changes of some employers and employees."""
    day: int = 1
    """The number of the later day, for updates only. A day includes the changes of earlier days."""
    foreign_share: float = 0.05
    """The share of employers with a foreign address."""
    non_ascii_every: int = 500
    """Give every Nth employer and employee a name with non-ASCII characters; 0 for none."""

    def __post_init__(self) -> None:
        if not 1 <= self.employers <= employers.MAX_EMPLOYERS:
            raise ValueError(f"the number of employers must be from 1 to {employers.MAX_EMPLOYERS:,}")
        if self.day < 1 or (self.day > 1 and not self.update):
            raise ValueError("the day must be 1 or greater, and greater than 1 for updates only")

    @property
    def days_after(self) -> int:
        """The number of days after the first files; 0 for the first files."""
        return self.day if self.update else 0


def write_employer_file(
    stream: ByteTarget, population: Population, options: WriteOptions | None = None, advance: Advance = ignore_progress
) -> WriteCounts:
    """Write an employer file; call ``advance`` with the number of good lines after each block."""
    writer = Writer(stream, options or WriteOptions(), advance)
    for numbers in _split_into_blocks(population, 10 * _BLOCK_EMPLOYERS):
        values = employers.make_employers(
            population.seed,
            numbers,
            foreign_share=population.foreign_share,
            non_ascii_every=population.non_ascii_every,
            day=population.days_after,
        )
        writer.write(format_lines(values, EMPLOYER), EMPLOYER)
    return writer.finish()


def write_wage_file(
    stream: ByteTarget, population: Population, options: WriteOptions | None = None, advance: Advance = ignore_progress
) -> WriteCounts:
    """Write a wage file; call ``advance`` with the number of good lines after some thousand lines.

    Raises:
        ValueError: The employers have more employees than nine digits can number.
    """
    writer = Writer(stream, options or WriteOptions(), advance)
    seed, non_ascii_every, day = population.seed, population.non_ascii_every, population.days_after
    employees = 0
    for numbers in _split_into_blocks(population, _BLOCK_EMPLOYERS):
        quarters = wages.make_employer_quarters(seed, numbers, non_ascii_every, day=day)
        writer.write(format_lines(quarters, WAGE_A), WAGE_A)
        for values in wages.make_employee_quarters(seed, numbers, employees + 1, non_ascii_every, day=day):
            writer.write(format_lines(values, WAGE_B), WAGE_B)
        employees += int(wages.count_employees(seed, numbers).sum())
        if employees > wages.MAX_EMPLOYEES:
            raise ValueError("these employers have more employees than there are social security numbers")
    return writer.finish()


def _split_into_blocks(population: Population, size: int) -> Iterator[pl.Series]:
    for first in range(1, population.employers + 1, size):
        yield pl.int_range(first, min(first + size, population.employers + 1), eager=True)
