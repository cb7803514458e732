"""Schema of the vendor's messages, written from the interface's documentation and independent of the client.

The schema consists of blocks. Each line of a block is ``name kind``, in the required order of the elements. Kinds::

    count        0                      flag         false
    open-flag    true or false          true         true
    date         date and time, or nil  null-date    1753-01-01T00:00:00
    text         at most 100 characters filled       1 to 100 characters
    short        1 to 10 characters     value        any text or none
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

_NIL = {"http://www.w3.org/2001/XMLSchema-instance nil": "true"}

_RECORD = """
LastUpdateDate null-date
UserUpdatedBy =PFML_API
persistent-boeversion count
"""

_PARTY = """
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

_ORGANIZATION = """
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
ShortName short
UpperName filled
UpperRegisteredNumber none
UpperShortName short
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
    "OUTER": _PARTY
    + """
personalContactMediums none
partyContactPreferences none
partyAliases {ALIASES}
pointsOfContact none
"""
    + _ORGANIZATION
    + "names {NAMES}",
    "ALIASES": "OCPartyAlias {ALIAS}",
    "ALIAS": """
Type enum:Unknown/Party Alias Type/8928000
Value none
""",
    "NAMES": "OCOrganisationName {NAME}",
    "NAME": _RECORD
    + """
Description none
DoingBusinessAs filled
LegalBusinessName filled
Name filled
NameType enum:Unknown/OrganisationNameType/6240000
PronouncedAs text
ShortName short
UpperName filled
UpperShortName short
ValidFrom null-date
ValidTo null-date
DefaultName true
RunBOValidations true
organisationWithDefault {INNER_LIST}
""",
    "INNER_LIST": "OCOrganisation {INNER}",
    "INNER": _RECORD + _PARTY + _ORGANIZATION,
    "ENUM": """
InstanceName filled
DomainName filled
FullId number
""",
    "PAIR": """
name filled
value value
""",
}


class InvalidMessage(Exception):
    """A message that does not match its schema. The error names the element, never its content."""


Fields = dict[str, str]
"""Texts of a message's leaves by path, such as ``organisation/OCOrganisation/Name``."""


def validate(element: Element, block: str, path: str = "") -> Fields:
    """Return the leaves of ``element``, which must have exactly the children of ``block`` in that order."""
    found = [child.name for child in element.children]
    expected, kinds = _parse_block(block)
    if found != expected:
        raise InvalidMessage(_describe_difference(path or block, found, expected))
    require_elements_only(element, path or block)
    fields: Fields = {}
    for child, kind in zip(element.children, kinds, strict=True):
        path_name = f"{path}/{child.name}" if path else child.name
        if matches := _KINDS.get(kind):
            is_nil = kind == "date" and child.attributes == _NIL and not child.text
            if child.children or (child.attributes and not is_nil):
                raise InvalidMessage(f"{path_name} must contain text only")
            if not (is_nil or matches(child.text)):
                raise InvalidMessage(f"{path_name} is not a valid {kind}")
            fields[path_name] = child.text
        elif kind.startswith("{"):
            fields |= validate(child, kind[1:-1], path_name)
        elif kind.startswith("enum:"):
            fields[path_name] = _validate_enumeration(child, kind[5:], path_name)
        elif child.children or child.attributes or child.text != kind[1:]:
            raise InvalidMessage(f"{path_name} is not {kind[1:]}")
        else:
            fields[path_name] = child.text
    return fields


@cache
def _parse_block(block: str) -> tuple[list[str], list[str]]:
    """Return the names and the kinds of a block's elements."""
    lines = [line.partition(" ") for line in BLOCKS[block].splitlines() if line]
    return [name for name, _, _ in lines], [kind for _, _, kind in lines]


def require_elements_only(element: Element, path_name: str) -> None:
    """Raise InvalidMessage if the element has text or attributes."""
    if element.text.strip() or element.attributes:
        raise InvalidMessage(f"{path_name} must contain elements only")


def _describe_difference(path_name: str, found: list[str], expected: list[str]) -> str:
    missing = [name for name in expected if name not in found]
    if missing:
        return f"{path_name}: {missing[0]} is missing"
    if len(found) != len(set(found)):
        return f"{path_name}: duplicate element"
    if len(found) > len(expected):
        return f"{path_name}: element not in the schema"
    return f"{path_name}: elements not in the order of the schema"


def _validate_enumeration(element: Element, rule: str, path_name: str) -> str:
    triple = element.find_child("InstanceDomainAndFullId")
    if triple is None or len(element.children) != 1:
        raise InvalidMessage(f"{path_name} must contain one InstanceDomainAndFullId")
    require_elements_only(element, path_name)
    parts = list(validate(triple, "ENUM", path_name).values())
    for part, wanted in zip(parts, rule.split("/"), strict=True):
        if wanted not in ("*", part):
            raise InvalidMessage(f"{path_name} is not an allowed value of its enumeration")
    return "/".join(parts)


def _is_date(text: str) -> bool:
    try:
        return len(text) >= len("1753-01-01T00:00:00") and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


def _match(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


_KINDS: dict[str, Callable[[str], bool]] = {
    "count": _match("0"),
    "number": _match("[0-9]{1,9}"),
    "flag": _match("false"),
    "open-flag": _match("true|false"),
    "true": _match("true"),
    "date": _is_date,
    "null-date": _match("1753-01-01T00:00:00"),
    "text": lambda text: len(text) <= 100,
    "filled": lambda text: bool(text.strip()) and len(text) <= 100,
    "short": lambda text: 1 <= len(text) <= 10,
    "value": lambda _text: True,
    "none": _match(""),
    "fein": _match("[0-9]{9}"),
    "uuid": _match("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
}
