"""Parsing of the FINEOS responses.

parse_employers  ReadEmployer response → organizations
parse_update     update response       → customer number, or FineosValidationFailed

Each response must be valid by the vendor's XML Schema in the folder ``schemas``. Content in another form is an error:
it must not be taken for an employer that FINEOS does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from lxml import etree

from paidleave.fineos.client.errors import FineosInvalidResponse, FineosValidationFailed, redact_vendor_text
from paidleave.fineos.client.messages import READ_EMPLOYER, XSI, Organization, OrganizationUnit
from paidleave.fineos.client.party_fields import ORGANIZATION, PARTY, Enumeration, Nil, Value
from paidleave.fineos.client.requests import ELEMENTS

_FIELDS = PARTY | ORGANIZATION

# An update resets these fields at the vendor unless the request repeats them. Names come from DOR and are not repeated.
# The response lacks DateOfIncorporation, so every update sends the null date, like the old system.
_PRESERVED = (
    "PronouncedAs",
    "AccountingDate",
    "FinancialYearEnd",
    "PartyType",
    "DateBusinessCommenced",
    "GroupClient",
    "SecuredClient",
    "NotificationIssued",
)


def parse_employers(body: bytes, fein: str) -> list[Organization]:
    """Return the organizations of a ReadEmployer response, or an empty list if FINEOS does not have the employer.

    Raises:
        FineosInvalidResponse: The response is not valid, or contains an organization with another number than ``fein``.
    """
    root = _parse(body, READ_EMPLOYER)
    return [_parse_organization(element, fein) for element in root.iterchildren("OCOrganisation")]


def parse_update(body: bytes, call: str, number_name: str) -> int:
    """Return the customer number from the response to the update ``call``, where it has the name ``number_name``.

    Raises:
        FineosValidationFailed: The response contains the reason why FINEOS rejected the update.
        FineosInvalidResponse: The response contains neither a customer number nor a reason, or contradicts itself.
    """
    values: dict[str, str] = {}
    for entry in _parse(body, call).iterfind("additional-data-set/additional-data"):
        name, value = (_get_text(entry.find(tag)) or "" for tag in ("name", "value"))
        if values.setdefault(name, value) != value:
            raise FineosInvalidResponse(call, "the response has two values for one name", status=200)
    if reason := values.get("VALIDATION_MESSAGE"):
        raise FineosValidationFailed(call, f"update rejected: {redact_vendor_text(reason, ELEMENTS)}", status=200)
    code = values.get("SERVICE_RESPONSE_CODE", "200")
    if code != "200":
        shown = code if re.fullmatch("[0-9]{1,3}", code, re.ASCII) else "unknown"
        raise FineosValidationFailed(call, f"update rejected without a message, response code {shown}", status=200)
    number = values.get(number_name, "")
    if not re.fullmatch(r"[0-9]{1,9}", number, re.ASCII):
        raise FineosInvalidResponse(call, f"{number_name} is missing in the response", status=200)
    return int(number)


# A tag costs some hundred bytes in memory. A real response has about 100 of them and 40 per organization unit.
_MAX_TAGS = 500_000

_PARSER = etree.XMLParser(
    resolve_entities=False,
    load_dtd=False,
    dtd_validation=False,
    no_network=True,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)


def _parse(body: bytes, call: str) -> etree._Element:
    """Parse the response to ``call`` and validate it. Error messages contain no text of the response."""
    if body.count(b"<") > _MAX_TAGS:
        raise FineosInvalidResponse(call, f"the response has more than {_MAX_TAGS:,} tags", status=200)
    try:
        root = etree.fromstring(body, _PARSER)
    except (etree.XMLSyntaxError, ValueError):  # The original messages can quote personal data of the document.
        raise FineosInvalidResponse(call, "the response is not well-formed XML", status=200) from None
    if etree.ElementTree(root).docinfo.internalDTD is not None:
        raise FineosInvalidResponse(call, "the response declares a document type, which is not allowed", status=200)
    schema, names = _load_schema(call)
    if not schema.validate(root):
        log: Any = schema.error_log  # The type stubs declare no members.
        error = log[0]
        name = (error.path or "").rpartition("/")[2].partition("[")[0]
        place = f"element {name}" if name in names else "an element that is not in the schema"
        kind = error.type_name.removeprefix("SCHEMAV_")
        raise FineosInvalidResponse(call, f"the response violates the schema of {call} at {place} ({kind})", status=200)
    return root


@cache
def _load_schema(call: str) -> tuple[etree.XMLSchema, frozenset[str]]:
    """Return the schema of the response to ``call`` and the names of its elements."""
    document = etree.fromstring((resources.files(__package__) / "schemas" / f"{call}.Response.xsd").read_bytes())
    names = (element.get("name", "") for element in document.iter("{http://www.w3.org/2001/XMLSchema}element"))
    return etree.XMLSchema(document), frozenset(names)


def _parse_organization(element: etree._Element, fein: str) -> Organization:
    number = _get_text(element.find("CustomerNo")) or ""
    if not re.fullmatch(r"[0-9]{1,9}", number, re.ASCII):
        raise FineosInvalidResponse(READ_EMPLOYER, "an employer has no numeric CustomerNo", status=200)
    if (_get_text(element.find("CorporateTaxNumber")) or "").replace("-", "") != fein:
        raise FineosInvalidResponse(READ_EMPLOYER, "an employer has another CorporateTaxNumber", status=200)
    preserved = {name: value for name in _PRESERVED if (value := _parse_value(element.find(name), name)) is not None}
    return Organization(int(number), preserved, tuple(_parse_units(element)))


def _parse_value(element: etree._Element | None, name: str) -> Value:
    """Parse the value of a preserved field as the type that the request has for it. The schema has validated it."""
    if element is not None and element.get(f"{{{XSI}}}nil") in ("true", "1"):
        return Nil()
    default = _FIELDS[name]
    if isinstance(default, Enumeration):
        return _parse_enumeration(element, name)
    text = _get_text(element)
    return text in ("true", "1") if isinstance(default, bool) else text


def _parse_enumeration(element: etree._Element | None, name: str) -> Enumeration:
    triple = None if element is None else element.find("InstanceDomainAndFullId")
    if triple is None:
        raise FineosInvalidResponse(READ_EMPLOYER, f"{name} has no InstanceDomainAndFullId", status=200)
    instance, domain, full_id = (
        _get_text(triple.find(part)) or "" for part in ("InstanceName", "DomainName", "FullId")
    )
    return Enumeration(instance, domain, int(full_id))


def _parse_units(element: etree._Element) -> Iterator[OrganizationUnit]:
    for unit in element.iterfind("organisationUnits/OrganisationUnit"):
        links = unit.iterfind(
            "orgUnitLocationLinks/OrgUnitLocationLink/partyLocationAssociation/OCPartyLocationAssociation/OID"
        )
        sites = tuple(oid for link in links if (oid := _get_text(link)))
        yield OrganizationUnit(_get_text(unit.find("OID")) or "", _get_text(unit.find("Name")) or "", sites)


def _get_text(element: etree._Element | None) -> str | None:
    if element is None or element.text is None or not (text := element.text.strip()):
        return None
    return text
