"""Mask numbers in text whose format may identify people, companies or accounts.

Tax identifiers (SSN, ITIN, FEIN) and routing numbers have nine digits; account numbers have more. They are written
without separators, or in groups separated by dashes and blanks; an SSN (3-2-4 digits) also with any other signs, such
as points, brackets and line ends. Digits, dashes and blanks may be of any script (:mod:`.characters`), and a zero may
follow a point, as in 999000000.0. Numbers of similar formats stay readable: decimals (999000000.5), UUIDs and other
hexadecimal IDs, timestamps, network addresses and host names (ip-10-11-12-134), AWS account IDs in ARNs, and byte
counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nightferry.job.redaction.characters import represent

TAX_IDENTIFIER = "*********"
LONG_NUMBER = "************"
TELEPHONE = "***-***-****"

_DIGITS = 9
_GROUP = re.compile(r"[0-9]++")
_NARROW_GAP = re.compile(r"[-+ \t\r\n\v\f\0]{0,40}")
_WIDE_GAP = re.compile(r"[^0-9A-Za-z\x80-\U0010ffff]{1,40}")
_SSN, _FEIN = [3, 2, 4], [2, 7]
_TELEPHONE = re.compile(r"(?<![\w.-])(?:\+?1[-. ])?(?:\([0-9]{3}\) ?|[0-9]{3}[-. ])[0-9]{3}[-. ][0-9]{4}(?!\w|-\w)")

_READABLE = re.compile(
    r"""
      \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b                      # UUID
    | (?<![0-9a-z])(?:0x)?(?=(?:[0-9]*+[a-f]++[0-9]){3})[0-9a-f]{16,}+(?![0-9a-z])     # digest, ID of an ECS task
    | (?<![0-9a-z])(?=[0-9]*+[a-f])[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}(?![0-9a-z])         # ID of a run: UUID 4
    | (?<![0-9a-z])20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])T            # ID of an execution: its time
      (?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]-[0-9a-f]{8}(?![0-9a-z])               # and random digits
    | (?<![0-9a-z])0x[0-9a-f]++                                            # address of an object
    | \bip(?:-[0-9]{1,3}){4}\b                                             # host name
    | (?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?(?![\w]|\.[0-9])        # network address
    | (?<![\w-])arn:[\w-]++:[\w-]*+:[\w-]*+:[0-9]{12}:                     # the account in an ARN
    | \b[0-9]{12}\.dkr\.ecr\.
    | (?<![0-9])(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])\ [0-9](?![0-9])  # date, small number
    | (?<![0-9])(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])         # YYYYMMDDHHMMSS with an
      (?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9](?:[0-9]{3}|[0-9]{6})?(?![0-9])        # optional fraction
    | (?<![0-9.])[0-9]{9,}+\.(?!0++(?![0-9]))[0-9]{1,7}(?![0-9.])                    # decimal
    | (?<![0-9])[0-9]{9,}+(?=\ bytes\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FLOAT = re.compile(r"(?<![0-9.])[0-9]\.[0-9]{8}e\+?0?8(?![0-9])", re.IGNORECASE)  # 1.23456789e8

_Span = tuple[int, int, str]


def mask_numbers(text: str, names: re.Pattern[str] | None = None) -> str:
    """Return ``text`` with the numbers that may identify people, companies or accounts replaced with asterisks.

    Numbers in ``names``, such as those of files, stay readable. The time is linear in the length of the text.
    """
    shown = represent(text)
    if sum(map(shown.count, "0123456789")) < _DIGITS:
        return text
    pieces, end = [], 0
    for start, stop, mask in _list_spans(shown, names):
        if start < end:  # overlaps the previous mask
            end = max(end, stop)
            continue
        pieces += [text[end:start], mask]
        end = stop
    return "".join([*pieces, text[end:]]) if pieces else text


def _list_spans(shown: str, names: re.Pattern[str] | None) -> list[_Span]:
    """Return the spans to mask in the order of their starts."""
    spans: list[_Span] = []
    for start, stop in _iterate_gaps(shown, names, 0, len(shown)):
        for first, last in _iterate_gaps(shown, _READABLE, start, stop):
            if last - first >= _DIGITS:
                piece = shown[first:last]
                found = [*_find_identifiers(piece), *_find_all(_TELEPHONE, piece, TELEPHONE)]
                found += _find_all(_FLOAT, piece, TAX_IDENTIFIER)
                spans += [(first + begin, first + end, mask) for begin, end, mask in found]
    return sorted(spans)


def _iterate_gaps(shown: str, pattern: re.Pattern[str] | None, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the positions between the matches of ``pattern``."""
    for found in pattern.finditer(shown, start, stop) if pattern is not None else ():
        yield start, found.start()
        start = found.end()
    yield start, stop


def _find_all(pattern: re.Pattern[str], piece: str, mask: str) -> Iterator[_Span]:
    return ((*found.span(), mask) for found in pattern.finditer(piece))


def _find_identifiers(piece: str) -> Iterator[_Span]:
    """Yield each group of more than nine digits, and each sequence of groups with nine digits in total."""
    groups = [found.span() for found in _GROUP.finditer(piece)]
    lengths = [stop - start for start, stop in groups]
    for first, (start, _) in enumerate(groups):
        if not _is_fraction(piece, start):
            if lengths[first] > _DIGITS:
                yield *groups[first], LONG_NUMBER
                continue
            last = _find_end(piece, groups, lengths, first)
            if last is not None:
                yield start, groups[last][1], TAX_IDENTIFIER


def _find_end(piece: str, groups: list[tuple[int, int]], lengths: list[int], first: int) -> int | None:
    """Return the last group of the identifier that starts with the group ``first``; None if none starts there."""
    last, digits = first, lengths[first]
    while digits < _DIGITS and last + 1 < len(groups) and _is_gap(_NARROW_GAP, piece, groups, last):
        last += 1
        digits += lengths[last]
    if digits == _DIGITS:
        return last
    if lengths[first : first + 3] == _SSN:
        if all(_is_gap(_WIDE_GAP, piece, groups, at) for at in (first, first + 1)):
            return first + 2
    elif lengths[first : first + 2] == _FEIN:
        if piece[groups[first][1] : groups[first + 1][0]] in ("/", "_"):
            return first + 1
    elif lengths[first : first + _DIGITS] == [1] * _DIGITS:
        gaps = {piece[groups[at][1] : groups[at + 1][0]] for at in range(first, first + _DIGITS - 1)}
        if len(gaps) == 1 and _is_gap(_WIDE_GAP, piece, groups, first):
            return first + _DIGITS - 1
    return None


def _is_gap(pattern: re.Pattern[str], piece: str, groups: list[tuple[int, int]], before: int) -> bool:
    return pattern.fullmatch(piece, groups[before][1], groups[before + 1][0]) is not None


def _is_fraction(piece: str, start: int) -> bool:
    """Return True for the digits after the point of a decimal that has no further point, such as 0.123456789."""
    return start > 1 and piece[start - 1] == "." and piece[start - 2].isdecimal()
