"""Parser for the XML of requests. It rejects malicious documents."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_BYTES = 256 * 1024  # A real request has about 10,000 bytes.
MAX_DEPTH = 16
MAX_ELEMENTS = 2000


class MalformedDocument(Exception):
    """The request is not a valid document. The message contains nothing of its content."""


@dataclass(slots=True)
class Element:
    """An XML element. ``name`` is ``namespace name`` if the element has a namespace."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def find_child(self, name: str) -> Element | None:
        """Return the only child with that name, or None."""
        found = [child for child in self.children if child.name == name]
        return found[0] if len(found) == 1 else None


def read(body: bytes) -> Element:
    """Parse ``body`` and return its root element.

    The body must be UTF-8 without document type, entities and processing instructions.
    """
    if len(body) > MAX_BYTES:
        raise MalformedDocument(f"more than {MAX_BYTES} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedDocument(f"not UTF-8 at byte {error.start}") from None
    declaration = re.match(r"""\s*<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""", text)
    if declaration and declaration[1].upper() != "UTF-8":
        raise MalformedDocument("the declared encoding is not UTF-8")
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
        parser.StartDoctypeDeclHandler = self._reject_doctype
        parser.EntityDeclHandler = self._reject_doctype
        parser.ProcessingInstructionHandler = self._reject_instruction
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            raise MalformedDocument(f"not well-formed: {expat.ErrorString(error.code)}, line {error.lineno}") from None
        if self._root is None:
            raise MalformedDocument("the document has no element")
        return self._root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._stack) >= MAX_DEPTH:
            raise MalformedDocument(f"elements are nested deeper than {MAX_DEPTH} levels")
        if self._count > MAX_ELEMENTS:
            raise MalformedDocument(f"more than {MAX_ELEMENTS} elements")
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

    def _reject_doctype(self, *_details: object) -> None:
        raise MalformedDocument("a document type is not allowed")

    def _reject_instruction(self, *_details: object) -> None:
        raise MalformedDocument("a processing instruction is not allowed")
