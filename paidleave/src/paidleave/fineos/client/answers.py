"""The answers of FINEOS, read.

read_employers  ReadEmployer answer   → organisations
read_update     answer to an update   → customer number, or FineosValidationFailed
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from paidleave.fineos.client.errors import FineosInvalidAnswer, FineosValidationFailed, known_words
from paidleave.fineos.client.messages import NAMESPACE, READ_EMPLOYER, XSI, Organisation, OrganisationUnit
from paidleave.fineos.client.party_fields import NULL_DATE, ORGANISATION, PARTY, Enumeration, Value
from paidleave.fineos.client.requests import ELEMENTS

_FIELDS = PARTY | ORGANISATION

# Without these an update would reset them at the vendor. The names are not among them: DOR is their source.
_KEPT = (
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


def read_employers(body: bytes) -> list[Organisation]:
    """The organisations of a ReadEmployer answer; none when FINEOS does not know the employer."""
    root = _parse(body, READ_EMPLOYER, "ReadEmployerResponse")
    return [_organisation(element) for element in root.iterchildren("OCOrganisation")]


def read_update(body: bytes, call: str, number_name: str) -> int:
    """The customer number in the answer to an update (``call``), which stands there under ``number_name``.

    Raises FineosValidationFailed when the answer says why the update was not made, FineosInvalidAnswer when it
    says neither.
    """
    root = _parse(body, call, "WSUpdateResponse")
    values = {
        _text(entry.find("name")) or "": _text(entry.find("value")) or ""
        for entry in root.iterfind("additional-data-set/additional-data")
    }
    if reason := values.get("VALIDATION_MESSAGE", "").strip():
        raise FineosValidationFailed(call, f"not carried out: {known_words(reason, ELEMENTS)}", status=200)
    number = values.get(number_name, "")
    if not re.fullmatch(r"[0-9]{1,9}", number, re.ASCII):
        raise FineosInvalidAnswer(call, f"the answer holds no {number_name}", status=200)
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
    except (etree.XMLSyntaxError, ValueError):  # their messages quote the document
        raise FineosInvalidAnswer(call, "the answer is not well-formed XML", status=200) from None
    if etree.ElementTree(root).docinfo.internalDTD is not None:
        raise FineosInvalidAnswer(call, "the answer declares a document type, which is refused", status=200)
    if root.tag != f"{{{NAMESPACE}{call}}}{root_name}":
        raise FineosInvalidAnswer(call, f"the answer is not a {root_name}", status=200)
    return root


def _organisation(element: etree._Element) -> Organisation:
    number = _text(element.find("CustomerNo")) or ""
    if not re.fullmatch(r"[0-9]{1,9}", number, re.ASCII):
        raise FineosInvalidAnswer(READ_EMPLOYER, "an employer without a numeric CustomerNo", status=200)
    kept = {name: value for name in _KEPT if (value := _value(element.find(name), name)) is not None}
    return Organisation(int(number), kept, tuple(_units(element)))


def _value(element: etree._Element | None, name: str) -> Value:
    """The value of a field to keep, by the kind that the request gives it."""
    if element is None or element.get(f"{{{XSI}}}nil") in ("true", "1"):
        return None
    default = _FIELDS[name]
    if isinstance(default, Enumeration):
        return _enumeration(element, name)
    text = _text(element)
    if isinstance(default, bool):
        if text not in ("true", "false", "1", "0"):
            raise FineosInvalidAnswer(READ_EMPLOYER, f"{name} is neither true nor false", status=200)
        return text in ("true", "1")
    if default == NULL_DATE and not re.fullmatch(_DATE_TIME, text or "", re.ASCII):
        raise FineosInvalidAnswer(READ_EMPLOYER, f"{name} is no date", status=200)
    return text


_DATE_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"


def _enumeration(element: etree._Element, name: str) -> Enumeration:
    parts = [
        _text(element.find(f"InstanceDomainAndFullId/{part}")) for part in ("InstanceName", "DomainName", "FullId")
    ]
    instance, domain, full_id = parts
    if instance is None or domain is None or not (full_id or "").isdecimal():
        raise FineosInvalidAnswer(READ_EMPLOYER, f"{name} is not an enumeration value", status=200)
    return Enumeration(instance, domain, int(full_id or ""))


def _units(element: etree._Element) -> Iterator[OrganisationUnit]:
    for unit in element.iterfind("organisationUnits/OrganisationUnit"):
        links = unit.iterfind(
            "orgUnitLocationLinks/OrgUnitLocationLink/partyLocationAssociation/OCPartyLocationAssociation/OID"
        )
        sites = tuple(oid for link in links if (oid := _text(link)))
        yield OrganisationUnit(_text(unit.find("OID")) or "", _text(unit.find("Name")) or "", sites)


def _text(element: etree._Element | None) -> str | None:
    if element is None or element.text is None or not (text := element.text.strip()):
        return None
    return text
