"""Format exceptions as text that may be logged.

Each exception is one redacted line (:func:`nightferry.job.redaction.describe_error`). Frames show the file, line and
function, but no source lines and no values. Chained exceptions and exception groups have the same format.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from nightferry.job.redaction import describe_error

_MAX_FRAMES = 40
_MAX_CHAIN_LINKS = 8


def format_traceback(error: BaseException) -> str:
    """Return the exception and its causes with their frames, in the order of Python's own tracebacks."""
    parts = []
    for number, (link, cause) in enumerate(_list_chain(error)):
        if number:
            parts.append(cause)
        parts.append(_format_exception(link))
    return "\n".join(parts)


def format_stack(frame: FrameType) -> str:
    """Return the file, line and function of each frame of a thread's stack."""
    frames: list[tuple[FrameType, int]] = []
    current: FrameType | None = frame
    while current is not None:
        frames.append((current, current.f_lineno))
        current = current.f_back
    return "\n".join(_format_frames(reversed(frames)))


def _format_exception(error: BaseException) -> str:
    lines = []
    if error.__traceback__ is not None:
        lines.append("Traceback (most recent call last):")
        lines += _format_frames(_iterate_frames(error.__traceback__))
    lines.append(describe_error(error))
    if isinstance(error, BaseExceptionGroup):
        for number, member in enumerate(error.exceptions[:_MAX_CHAIN_LINKS], start=1):
            lines.append(f"  ---- {number} of {len(error.exceptions)} ----")
            lines += [f"  {line}" for line in format_traceback(member).splitlines()]
    return "\n".join(lines)


def _list_chain(error: BaseException) -> list[tuple[BaseException, str]]:
    """Return the exceptions of a chain, first cause first, each with the text that links it to the one before."""
    links: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(links) < _MAX_CHAIN_LINKS:
        seen.add(id(current))
        if current.__cause__ is not None:
            links.append((current, "It caused:"))
            current = current.__cause__
        elif not current.__suppress_context__:
            links.append((current, "Another exception was raised while it was handled:"))
            current = current.__context__
        else:
            links.append((current, ""))
            current = None
    return list(reversed(links))


def _iterate_frames(trace: TracebackType) -> Iterator[tuple[FrameType, int]]:
    current: TracebackType | None = trace
    while current is not None:
        yield current.tb_frame, current.tb_lineno
        current = current.tb_next


def _format_frames(frames: Iterator[tuple[FrameType, int]]) -> list[str]:
    lines = [
        f"  {_shorten_path(frame.f_code.co_filename)}:{line} in {frame.f_code.co_qualname}" for frame, line in frames
    ]
    if len(lines) > _MAX_FRAMES:
        half = _MAX_FRAMES // 2
        lines[half:-half] = [f"  … {len(lines) - 2 * half} frames …"]
    return lines


def _shorten_path(path: str) -> str:
    """Return the path of a source file relative to the folder in which it is installed."""
    for folder in sorted((entry for entry in sys.path if entry), key=len, reverse=True):
        if path.startswith(folder.rstrip(os.sep) + os.sep):
            return path[len(folder.rstrip(os.sep)) + 1 :]
    return Path(path).name if os.sep in path else path
