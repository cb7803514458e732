"""Exceptions as text that may be logged.

Each exception is one redacted line (:func:`nightferry.job.redaction.describe`). Frames show file, line and function; no
source lines and no values. Chained exceptions and groups are shown in the same way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from nightferry.job.redaction import describe

_FRAME_LIMIT = 40
_CHAIN_LIMIT = 8


def traceback_text(error: BaseException) -> str:
    """The exception, those that led to it and where each was raised, in the order of Python's own tracebacks."""
    parts = []
    for number, (link, cause) in enumerate(_chain(error)):
        if number:
            parts.append(cause)
        parts.append(_one(link))
    return "\n".join(parts)


def stack_text(frame: FrameType) -> str:
    """Where a thread is: file, line and function of each frame."""
    frames: list[tuple[FrameType, int]] = []
    current: FrameType | None = frame
    while current is not None:
        frames.append((current, current.f_lineno))
        current = current.f_back
    return "\n".join(_lines(reversed(frames)))


def _one(error: BaseException) -> str:
    lines = []
    if error.__traceback__ is not None:
        lines.append("Traceback (most recent call last):")
        lines += _lines(_frames(error.__traceback__))
    lines.append(describe(error))
    if isinstance(error, BaseExceptionGroup):
        for number, member in enumerate(error.exceptions[:_CHAIN_LIMIT], start=1):
            lines.append(f"  ---- {number} of {len(error.exceptions)} ----")
            lines += [f"  {line}" for line in traceback_text(member).splitlines()]
    return "\n".join(lines)


def _chain(error: BaseException) -> list[tuple[BaseException, str]]:
    """The first cause first; each with how it became the next one's cause."""
    links: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(links) < _CHAIN_LIMIT:
        seen.add(id(current))
        if current.__cause__ is not None:
            links.append((current, "It led to:"))
            current = current.__cause__
        elif not current.__suppress_context__:
            links.append((current, "While it was handled, another one was raised:"))
            current = current.__context__
        else:
            links.append((current, ""))
            current = None
    return list(reversed(links))


def _frames(trace: TracebackType) -> Iterator[tuple[FrameType, int]]:
    current: TracebackType | None = trace
    while current is not None:
        yield current.tb_frame, current.tb_lineno
        current = current.tb_next


def _lines(frames: Iterator[tuple[FrameType, int]]) -> list[str]:
    lines = [f"  {_file(frame.f_code.co_filename)}:{line} in {frame.f_code.co_qualname}" for frame, line in frames]
    if len(lines) > _FRAME_LIMIT:
        half = _FRAME_LIMIT // 2
        lines[half:-half] = [f"  … {len(lines) - 2 * half} frames …"]
    return lines


def _file(path: str) -> str:
    """A source file without the folder that it is installed in."""
    for folder in sorted((entry for entry in sys.path if entry), key=len, reverse=True):
        if path.startswith(folder.rstrip(os.sep) + os.sep):
            return path[len(folder.rstrip(os.sep)) + 1 :]
    return Path(path).name if os.sep in path else path
