"""Parsing of the FINEOS responses.

parse_employers  ReadEmployer response → organizations
parse_update     update response       → customer number, or FineosValidationFailed
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from paidleave.fineos.client.errors import FineosInvalidResponse, FineosValidationFailed, redact_vendor_text
from paidleave.fineos.client.messages import NAMESPACE, READ_EMPLOYER, XSI, Organization, OrganizationUnit
from paidleave.fineos.client.party_fields import NULL_DATE, ORGANIZATION, PARTY, Enumeration, Value
from paidleave.fineos.client.requests import ELEMENTS

_FIELDS = PARTY | ORGANIZATION

# An update resets these fields at the vendor unless the request repeats them. Names come from DOR and are not repeated.
_PRESERVED = (
    "PronouncedAs",
    "AccountingDate",
    "FinancialYearEnd",
    "PartyType",
    "DateBusinessCommenced",
    "DateOfIncorporation",
    "GroupClient",
    "SecuredClient",
    "NotificationIssued",
)


def parse_employers(body: bytes) -> list[Organization]:
    """Return the organizations of a ReadEmployer response, or an empty list if FINEOS does not have the employer."""
    root = _parse(body, READ_EMPLOYER, "ReadEmployerResponse")
    return [_parse_organization(element) for element in root.iterchildren("OCOrganisation")]


def parse_update(body: bytes, call: str, number_name: str) -> int:
    """Return the customer number from the response to the update ``call``, where it has the name ``number_name``.

    Raises:
        FineosValidationFailed: The response contains the reason why FINEOS rejected the update.
        FineosInvalidResponse: The response contains neither a customer number nor a reason.
    """
    root = _parse(body, call, "WSUpdateResponse")
    values = {
        _get_text(entry.find("name")) or "": _get_text(entry.find("value")) or ""
        for entry in root.iterfind("additional-data-set/additional-data")
    }
    if reason := values.get("VALIDATION_MESSAGE", "").strip():
        raise FineosValidationFailed(call, f"update rejected: {redact_vendor_text(reason, ELEMENTS)}", status=200)
    number = values.get(number_name, "")
    if not re.fullmatch(r"[0-9]{1,9}", number, re.ASCII):
        raise FineosInvalidResponse(call, f"{number_name} is missing in the response", status=200)
    return int(number)


_PARSER = etree.XMLParser(
    resolve_entities=False,
    load_dtd=False,
    dtd_validation=False,
    no_network=True,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)


def _parse(body: bytes, call: str, root_name: str) -> etree._Element:
    try:
        root = etree.fromstring(body, _PARSER)
    except (etree.XMLSyntaxError, ValueError):  # The original messages can quote personal data of the document.
        raise FineosInvalidResponse(call, "the response is not well-formed XML", status=200) from None
    if etree.ElementTree(root).docinfo.internalDTD is not None:
        raise FineosInvalidResponse(call, "the response declares a document type, which is not allowed", status=200)
    if root.tag != f"{{{NAMESPACE}{call}}}{root_name}":
        raise FineosInvalidResponse(call, f"the response is not a {root_name}", status=200)
    return root


def _parse_organization(element: etree._Element) -> Organization:
    number = _get_text(element.find("CustomerNo")) or ""
    if not re.fullmatch(r"[0-9]{1,9}", number, re.ASCII):
        raise FineosInvalidResponse(READ_EMPLOYER, "an employer has no numeric CustomerNo", status=200)
    preserved = {name: value for name in _PRESERVED if (value := _parse_value(element.find(name), name)) is not None}
    return Organization(int(number), preserved, tuple(_parse_units(element)))


def _parse_value(element: etree._Element | None, name: str) -> Value:
    """Parse the value of a preserved field as the type that the request has for it."""
    if element is None or element.get(f"{{{XSI}}}nil") in ("true", "1"):
        return None
    default = _FIELDS[name]
    if isinstance(default, Enumeration):
        return _parse_enumeration(element, name)
    text = _get_text(element)
    if isinstance(default, bool):
        if text not in ("true", "false", "1", "0"):
            raise FineosInvalidResponse(READ_EMPLOYER, f"{name} is not a boolean", status=200)
        return text in ("true", "1")
    if default == NULL_DATE and not re.fullmatch(_DATE_TIME, text or "", re.ASCII):
        raise FineosInvalidResponse(READ_EMPLOYER, f"{name} is not a date", status=200)
    return text


_DATE_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"


def _parse_enumeration(element: etree._Element, name: str) -> Enumeration:
    parts = [
        _get_text(element.find(f"InstanceDomainAndFullId/{part}")) for part in ("InstanceName", "DomainName", "FullId")
    ]
    instance, domain, full_id = parts
    if instance is None or domain is None or not (full_id or "").isdecimal():
        raise FineosInvalidResponse(READ_EMPLOYER, f"{name} is not an enumeration value", status=200)
    return Enumeration(instance, domain, int(full_id or ""))


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
