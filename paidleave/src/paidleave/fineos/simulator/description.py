"""What the vendor's messages must look like: a description of its own, written from the interface's text.

A description is a block of lines ``name kind``, in the order in which the elements must come. Kinds::

    count        0                      flag         false
    open-flag    true or false          true         true
    date         date and time          null-date    1753-01-01T00:00:00
    text         any text or none       filled       some text
    none         must be empty          fein         nine digits
    uuid         a UUID                 =TEXT        exactly TEXT
    enum:A/B/N   InstanceDomainAndFullId with InstanceName A, DomainName B and FullId N; ``*`` allows any
    {BLOCK}      a child with exactly the elements of another block
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache

from paidleave.fineos.simulator.document import Element

LONGEST_TEXT = 255

_HEAD = """
LastUpdateDate null-date
UserUpdatedBy =PFML_API
persistent-boeversion count
"""

_WHO = """
C_CORRESP_PRIVHOLDER count
C_OSGROUP_OWP count
CulturalConsiderations none
CustomerNo uuid
Disabled flag
ExcludePartyFromSearch flag
FailedLogonAttempts count
GroupClient open-flag
I_CORRESP_PRIVHOLDER count
I_OSGROUP_OWP count
IdentificationNumberType enum:Tax Identification Number/IdentificationNumberType/8736002
LastSuccessfulLogon null-date
NotificationIssued open-flag
PartyType enum:*/Party Type/*
Password none
Position1 count
Position2 count
PronouncedAs text
ReferenceGloballyUnique flag
ReferenceNo none
SecuredClient open-flag
SelfServiceEnabled flag
SourceSystem enum:Internal/PartySourceSystem/8032000
SuppressMktg flag
TenureStart null-date
"""

_COMPANY = """
AccountingDate date
BusinessType enum:Unknown/Organisation Business Type/3328000
CompanyNumber none
CorporateTaxDistrict none
CorporateTaxNumber fein
DateBusinessCommenced date
DateOfIncorporation date
DoingBusinessAs filled
EndOfTrading null-date
EOTReasonCode enum:Unknown/EndOfTradingReasonCode/6592000
EOTReasonInd flag
FinancialYearEnd date
LegalBusinessName filled
LegalStatus enum:Unknown/Legal Status/1408000
Name filled
PayeTaxDistrict none
PayeTaxNumber none
RegisteredNumber none
ShortName text
UpperName filled
UpperRegisteredNumber none
UpperShortName text
VatNumber none
"""

BLOCKS = {
    "PARTY": """
EffectiveDate null-date
EndDate null-date
PartyTypeFlag =Employer
SourceSystemName =Unknown
person none
organisation {OUTER_LIST}
""",
    "OUTER_LIST": "OCOrganisation {OUTER}",
    "OUTER": _WHO
    + """
personalContactMediums none
partyContactPreferences none
partyAliases {ALIASES}
pointsOfContact none
"""
    + _COMPANY
    + "names {NAMES}",
    "ALIASES": "OCPartyAlias {ALIAS}",
    "ALIAS": """
Type enum:Unknown/Party Alias Type/8928000
Value none
""",
    "NAMES": "OCOrganisationName {NAME}",
    "NAME": _HEAD
    + """
Description none
DoingBusinessAs filled
LegalBusinessName filled
Name filled
NameType enum:Unknown/OrganisationNameType/6240000
PronouncedAs text
ShortName text
UpperName filled
UpperShortName text
ValidFrom null-date
ValidTo null-date
DefaultName true
RunBOValidations true
organisationWithDefault {INNER_LIST}
""",
    "INNER_LIST": "OCOrganisation {INNER}",
    "INNER": _HEAD + _WHO + _COMPANY,
    "ENUM": """
InstanceName filled
DomainName filled
FullId number
""",
    "PAIR": """
name filled
value text
""",
}


class Invalid(Exception):
    """A message that does not match its description; the message names the element, never its content."""


Fields = dict[str, str]
"""Texts of a message's leaves by path, ``organisation/OCOrganisation/Name``."""


def check(element: Element, block: str, path: str = "") -> Fields:
    """The leaves of ``element``, which must have exactly the children of ``block``, in that order."""
    found = [child.name for child in element.children]
    expected, kinds = _lines(block)
    if found != expected:
        raise Invalid(_difference(path or block, found, expected))
    elements_only(element, path or block)
    fields: Fields = {}
    for child, kind in zip(element.children, kinds, strict=True):
        place = f"{path}/{child.name}" if path else child.name
        if matches := _KINDS.get(kind):
            if child.children or child.attributes:
                raise Invalid(f"{place} must hold text only")
            if len(child.text) > LONGEST_TEXT or not matches(child.text):
                raise Invalid(f"{place} is not a valid {kind}")
            fields[place] = child.text
        elif kind.startswith("{"):
            fields |= check(child, kind[1:-1], place)
        elif kind.startswith("enum:"):
            fields[place] = _enumeration(child, kind[5:], place)
        elif child.children or child.attributes or child.text != kind[1:]:
            raise Invalid(f"{place} is not {kind[1:]}")
        else:
            fields[place] = child.text
    return fields


@cache
def _lines(block: str) -> tuple[list[str], list[str]]:
    """The names of a block's elements, and their kinds."""
    lines = [line.partition(" ") for line in BLOCKS[block].splitlines() if line]
    return [name for name, _, _ in lines], [kind for _, _, kind in lines]


def elements_only(element: Element, place: str) -> None:
    """Refuse an element that holds text or attributes."""
    if element.text.strip() or element.attributes:
        raise Invalid(f"{place} must hold elements only")


def _difference(place: str, found: list[str], expected: list[str]) -> str:
    missing = [name for name in expected if name not in found]
    if missing:
        return f"{place}: {missing[0]} is missing"
    if len(found) != len(set(found)):
        return f"{place}: an element comes twice"
    if len(found) > len(expected):
        return f"{place}: an element that is not in the schema"
    return f"{place}: the elements are not in the order of the schema"


def _enumeration(element: Element, rule: str, place: str) -> str:
    triple = element.child("InstanceDomainAndFullId")
    if triple is None or len(element.children) != 1:
        raise Invalid(f"{place} must hold one InstanceDomainAndFullId")
    elements_only(element, place)
    parts = list(check(triple, "ENUM", place).values())
    for part, wanted in zip(parts, rule.split("/"), strict=True):
        if wanted not in ("*", part):
            raise Invalid(f"{place} is not an allowed value of its enumeration")
    return "/".join(parts)


def _is_date(text: str) -> bool:
    try:
        return len(text) >= len("1753-01-01T00:00:00") and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


def _is(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


_KINDS: dict[str, Callable[[str], bool]] = {
    "count": _is("0"),
    "number": _is("[0-9]{1,9}"),
    "flag": _is("false"),
    "open-flag": _is("true|false"),
    "true": _is("true"),
    "date": _is_date,
    "null-date": _is("1753-01-01T00:00:00"),
    "text": lambda _text: True,
    "filled": lambda text: bool(text.strip()),
    "none": _is(""),
    "fein": _is("[0-9]{9}"),
    "uuid": _is("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
}
