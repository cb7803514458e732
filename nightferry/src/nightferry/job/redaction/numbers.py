"""Mask numbers in text whose format may identify people, companies or accounts.

Tax identifiers (SSN, ITIN, FEIN) and routing numbers have nine digits; account numbers have more. They are written
without separators, or in groups separated by dashes, spaces, points, slashes or underscores. Numbers of similar formats
stay readable: decimals (999000000.5), UUIDs and other hexadecimal IDs, timestamps, host names (ip-10-11-12-134),
AWS account IDs in ARNs, and byte counts.
"""

from __future__ import annotations

import re

TAX_IDENTIFIER = "*********"
LONG_NUMBER = "************"
TELEPHONE = "***-***-****"

_BETWEEN = r"(?:[-\u2010-\u2015\u2212+ \t\u00a0\u2007\u2009\u202f]|%2[0D])"
_CHAIN = re.compile(rf"\d(?:{_BETWEEN}{{0,3}}\d){{8,}}", re.IGNORECASE)
_GROUPED = re.compile(r"(?<!\d)\d{3}([./_])\d{2}\1\d{4}(?!\d)|(?<![\d.])\d{2}[/_]\d{7}(?!\d)")
_TELEPHONE = re.compile(r"(?<![\w.-])(?:\+?1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?!\w|-\w)")

_READABLE = re.compile(
    r"""
      \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b                      # UUID
    | (?<![0-9a-z])(?:0x)?(?=(?:\d*[a-f]+\d){3})[0-9a-f]{16,}(?![0-9a-z])     # digest, ID of an ECS task
    | (?<![0-9a-z])0x[0-9a-f]+                                             # address of an object
    | \bip(?:-\d{1,3}){4}\b                                                # host name
    | \barn:[\w-]+:[\w-]*:[\w-]*:\d{12}:                                   # the account in an ARN
    | \b\d{12}\.dkr\.ecr\.
    | (?<!\d)(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])\ \d(?!\d)       # a date, then a small number
    | (?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])                   # YYYYMMDDHHMMSS with an
      (?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?:\d{3}|\d{6})?(?!\d)                          # optional fraction
    | (?<![\d.])\d{9,}\.\d{1,7}(?![\d.])                                             # decimal
    | (?<!\d)\d{9,}(?=\ bytes\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def mask_numbers(text: str, names: re.Pattern[str] | None = None) -> str:
    """Return ``text`` with the numbers that may identify people, companies or accounts replaced with asterisks.

    Numbers in ``names``, such as those of files, stay readable.
    """
    if sum(character.isdecimal() for character in text) < 9:
        return text
    if names is None:
        return _mask_all(text)
    pieces, end = [], 0
    for name in names.finditer(text):
        pieces += [_mask_all(text[end : name.start()]), name[0]]
        end = name.end()
    return "".join([*pieces, _mask_all(text[end:])])


def _mask_all(text: str) -> str:
    pieces, end = [], 0
    for readable in _READABLE.finditer(text):
        pieces += [_mask(text[end : readable.start()]), readable[0]]
        end = readable.end()
    pieces.append(_mask(text[end:]))
    return "".join(pieces)


def _mask(text: str) -> str:
    text = _GROUPED.sub(TAX_IDENTIFIER, text)
    text = _TELEPHONE.sub(TELEPHONE, text)
    return _CHAIN.sub(_mask_chain, text)


def _mask_chain(match: re.Match[str]) -> str:
    """Mask each group of more than nine digits, and each sequence of groups with nine digits in total."""
    chain = match[0]
    if match.start() > 1 and match.string[match.start() - 1] == "." and match.string[match.start() - 2].isdecimal():
        return chain  # the fraction of a decimal
    groups = list(re.finditer(r"\d+", re.sub("%2[0D]", "   ", chain, flags=re.IGNORECASE)))
    masked = [(group.start(), group.end(), LONG_NUMBER) for group in groups if len(group[0]) > 9]
    for first in range(len(groups)):
        digits = 0
        for last in range(first, len(groups)):
            digits += len(groups[last][0])
            if digits >= 9:
                break
        if digits == 9:
            masked.append((groups[first].start(), groups[last].end(), TAX_IDENTIFIER))
    result, end = [], 0
    for start, stop, mask in sorted(masked):
        if start < end:  # overlaps the previous mask
            end = max(end, stop)
            continue
        result += [chain[end:start], mask]
        end = stop
    return "".join([*result, chain[end:]])
