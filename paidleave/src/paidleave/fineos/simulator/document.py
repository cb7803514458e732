"""From the bytes of a request to elements, refusing what no honest client sends."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

LARGEST = 256 * 1024  # bytes; a real request has about 10,000
DEEPEST = 16
MOST_ELEMENTS = 2000


class Malformed(Exception):
    """The request is not a document that this server reads; the message holds nothing of its content."""


@dataclass(slots=True)
class Element:
    """An XML element: its qualified name (``namespace name`` when it has a namespace), attributes, content."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def child(self, name: str) -> Element | None:
        """The only child of that name, or None."""
        found = [child for child in self.children if child.name == name]
        return found[0] if len(found) == 1 else None


def read(body: bytes) -> Element:
    """The root element of ``body``, which must be UTF-8 without document type, entities or instructions."""
    if len(body) > LARGEST:
        raise Malformed(f"more than {LARGEST} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8 at byte {error.start}") from None
    declaration = re.match(r"""\s*<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""", text)
    if declaration and declaration[1].upper() != "UTF-8":
        raise Malformed("an encoding other than UTF-8 is declared")
    return _Builder().read(body)


class _Builder:
    def __init__(self) -> None:
        self._stack: list[Element] = []
        self._root: Element | None = None
        self._count = 0

    def read(self, body: bytes) -> Element:
        parser = expat.ParserCreate(encoding="UTF-8", namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        parser.ProcessingInstructionHandler = self._refuse_instruction
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            raise Malformed(f"not well-formed: {expat.ErrorString(error.code)}, line {error.lineno}") from None
        if self._root is None:
            raise Malformed("no element")
        return self._root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._stack) >= DEEPEST:
            raise Malformed(f"elements nest deeper than {DEEPEST}")
        if self._count > MOST_ELEMENTS:
            raise Malformed(f"more than {MOST_ELEMENTS} elements")
        element = Element(name, attributes)
        if self._stack:
            self._stack[-1].children.append(element)
        else:
            self._root = element
        self._stack.append(element)

    def _end(self, _name: str) -> None:
        self._stack.pop()

    def _characters(self, text: str) -> None:
        self._stack[-1].text += text

    def _refuse_doctype(self, *_details: object) -> None:
        raise Malformed("a document type is declared")

    def _refuse_instruction(self, *_details: object) -> None:
        raise Malformed("a processing instruction")
