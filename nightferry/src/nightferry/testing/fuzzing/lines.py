"""Coverage of functions by lines, measured with a trace function while a sample of inputs is parsed."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any


class Lines:
    """The lines of the functions in ``covers`` (modules, classes, functions), and which of them ran."""

    def __init__(self, covers: Iterable[Any]) -> None:
        self._seen: dict[CodeType, set[int]] = {code: set() for item in covers for code in _find_codes(item)}
        self.files = {code.co_filename for code in self._seen}

    def run(self, function: Callable[[], object]) -> None:
        """Call ``function`` and record the lines that run."""
        sys.settrace(self._trace)
        threading.settrace(self._trace)
        try:
            function()
        finally:
            sys.settrace(None)
            threading.settrace(None)

    def compute_share(self) -> float:
        """Return the share of the lines that ran; 1 without lines."""
        every = {code: {line for *_, line in code.co_lines() if line} - {code.co_firstlineno} for code in self._seen}
        total = sum(map(len, every.values()))
        return sum(len(every[code] & seen) for code, seen in self._seen.items()) / total if total else 1.0

    def _trace(self, frame: FrameType, _event: str, _arg: object) -> Any:
        seen = self._seen.get(frame.f_code)
        if seen is None:
            return None

        def trace_line(frame: FrameType, event: str, _arg: object) -> Any:
            if event == "line":
                seen.add(frame.f_lineno)
            return trace_line

        return trace_line


def _find_codes(item: Any) -> Iterator[CodeType]:
    item = inspect.unwrap(item) if callable(item) else item
    if isinstance(item, ModuleType):
        for value in vars(item).values():
            if getattr(value, "__module__", None) == item.__name__ and isinstance(value, FunctionType | type):
                yield from _find_codes(value)
    elif isinstance(item, type):
        for value in list(vars(item).values()):  # pydantic builds a class when its attributes are used
            value = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if isinstance(value, FunctionType) and value.__code__.co_filename == inspect.getsourcefile(item):
                yield from _find_codes(value)
    elif isinstance(item, FunctionType):
        yield from _find_inner(item.__code__)
    else:
        raise TypeError(f"{item!r} is not a module, class or function")


def _find_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _find_inner(constant)
