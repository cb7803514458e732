"""Limits of received files, which are checked while a file is read, so that the cost of any file is bounded.

A file that exceeds a limit fails as a whole and remains in place. Its sender may be anybody: DOR's files are not
signed, and the public key suffices to encrypt one. The limits are settings, with defaults several times as high as
the real sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nightferry import NightferryError

KEPT_REJECTS = 1_000
"""Number of rejected lines that are stored of a file that exceeds a limit. All are stored of every other file."""

_MEGABYTE = 1 << 20
_EXPANSION_FREE_BYTES = 16 * _MEGABYTE


class LimitExceeded(NightferryError):
    """A file exceeds a limit, so that it is not imported and remains in place.

    The message names the limit and its setting. Check the file with its sender, or raise the limit for one run.
    """


class ByteSource(Protocol):
    """A stream to read from, such as a file, a pipe or a message during decryption."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, or empty bytes only at the end."""


@dataclass(frozen=True)
class SizeLimit:
    """The maximum size of a file in bytes, after decryption if it is encrypted, and the limit in words."""

    size: int
    text: str


def limit_size(
    megabytes: int, stored: int = 0, expansion: int | None = None, setting: str = "FILE_SIZE_LIMIT_MB"
) -> SizeLimit:
    """Return the limit of ``megabytes``, or the lower one by ``expansion`` for an encrypted file of ``stored`` bytes.

    A message of a few hundred bytes can decompress to gigabytes. ``expansion`` is the maximum ratio of the plain size
    to the stored size. Plain sizes of up to 16 MB always pass, because short texts can be very regular.
    """
    if expansion is not None:
        expanded = max(expansion * stored, _EXPANSION_FREE_BYTES)
        if expanded < megabytes * _MEGABYTE:
            return SizeLimit(
                expanded,
                f"its plain text has more than {expanded:,} bytes, which is more than {expansion} times its stored "
                f"size and more than 16 MB. Check the file with its sender, or increase EXPANSION_LIMIT for one run.",
            )
    return SizeLimit(
        megabytes * _MEGABYTE,
        f"it has more than {megabytes:,} MB. Check the file with its sender, or increase {setting} for one run.",
    )


class BoundedStream:
    """A stream that reads from ``stream`` and fails as soon as it returns more bytes than ``limit`` allows."""

    def __init__(self, stream: ByteSource, limit: SizeLimit) -> None:
        self._stream = stream
        self._limit = limit
        self._size = 0

    def read(self, size: int, /) -> bytes:
        """Return the next bytes of ``stream``, at most ``size``.

        Raises:
            LimitExceeded: The stream has more bytes than the limit allows.
        """
        data = self._stream.read(size)
        self._size += len(data)
        if self._size > self._limit.size:
            raise LimitExceeded(self._limit.text)
        return data


@dataclass(frozen=True)
class RejectLimits:
    """The maximum numbers of rejected and blank lines of a file, and the maximum share of rejected lines.

    Attributes:
        share: The maximum share of rejected lines among all lines.
        rejected: The maximum number of rejected lines.
        blank: The maximum number of blank lines.
        share_setting: The name of the setting of ``share``.
        unit: What is counted, for the messages.
        table: Where the reasons are stored, for the messages.
        fix: What to do about the file, as an imperative sentence without a period.
    """

    share: float
    rejected: int
    blank: int
    share_setting: str
    table: str
    fix: str
    unit: str = "lines"

    def check(self, lines: int, rejected: int, blank: int, most_lines: int) -> None:
        """Check the numbers of ``lines`` read so far; the file has at most ``most_lines`` (:func:`count_most`).

        Raises:
            LimitExceeded: A limit is exceeded, or will be with any content of the rest of the file.
        """
        check_blank_lines(blank, self.blank, self.fix)
        self.check_number(rejected)
        if rejected > self.share * most_lines:
            found = f"{rejected} of {lines} {self.unit} were rejected, more than the allowed share of {self.share:.2%}"
            if most_lines > lines:
                found += f" of at most {most_lines} {self.unit} in a file of its size"
            raise LimitExceeded(
                f"{found}. The reasons are in {self.table}. {self.fix}, or increase {self.share_setting}."
            )

    def check_number(self, rejected: int) -> None:
        """Check the number of ``rejected`` lines. Raises LimitExceeded."""
        if rejected > self.rejected:
            raise LimitExceeded(
                f"more than {self.rejected:,} {self.unit} were rejected. The reasons are in {self.table}. "
                f"{self.fix}, or increase REJECTED_LINE_LIMIT for one run."
            )


def check_blank_lines(blank: int, most: int, fix: str) -> None:
    """Check the number of ``blank`` lines; for the message, ``fix`` is what to do about the file.

    Raises:
        LimitExceeded: There are more than ``most``.
    """
    if blank > most:
        raise LimitExceeded(f"more than {most:,} lines are blank. {fix}, or increase BLANK_LINE_LIMIT for one run.")


def count_most(lines: int, read: int, size: int, shortest: int) -> int:
    """Return the maximum number of lines of a file of at most ``size`` bytes whose first ``lines`` have ``read`` bytes.

    The rest consists of valid lines of the ``shortest`` width, in bytes with the line end, which the last line may
    lack. More lines would be possible only if they were shorter and thus rejected. A rejected line never decreases the
    share of rejected lines, so this number proves that the share is exceeded whatever the rest contains.
    """
    return lines + max(size - read + 1, 0) // shortest
