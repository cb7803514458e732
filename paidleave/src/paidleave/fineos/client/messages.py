"""The XML of the three composer calls that the employer load makes, built and read.

    build_party             Party                → UpdateOrCreateParty request
    build_service_agreement ServiceAgreement     → ServiceAgreementService request
    read_employers          ReadEmployer answer  → organisations
    read_update             answer of both updates → customer number, or FineosValidationFailed

The facts are the vendor's interface: element names, their order, enumeration ids and the null date. Elements come in
the order of the tables below, always, so that equal employers give equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from lxml import etree

from paidleave.fineos.client.errors import FineosInvalidAnswer, FineosValidationFailed, known_words
from paidleave.fineos.client.party_fields import (
    INTEGRATION,
    NAME,
    NULL_DATE,
    ORGANISATION,
    PARTY,
    RECORD,
    Enumeration,
    Value,
)

READ_EMPLOYER = "ReadEmployer"
UPDATE_OR_CREATE_PARTY = "UpdateOrCreateParty"
SERVICE_AGREEMENT = "ServiceAgreementService"

_NAMESPACE = "http://www.fineos.com/wscomposer/"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SHORT_NAME_LENGTH = 8


@dataclass(frozen=True)
class Party:
    """An employer as FINEOS is to know it. ``kept`` is what the vendor's own record holds and must not lose."""

    employer_id: str
    fein: str
    legal_name: str
    dba: str
    kept: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class OrganisationUnit:
    """A part of an employer: the vendor's object id, its name, and the object ids of its work sites."""

    oid: str
    name: str
    work_sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Organisation:
    """An employer as FINEOS knows it; ``customer_number`` is the vendor's id of it."""

    customer_number: int
    kept: Mapping[str, Value]
    units: tuple[OrganisationUnit, ...] = ()


@dataclass(frozen=True)
class ServiceAgreement:
    """What FINEOS is to set for an employer's leave plans; None is not sent and stays as it is."""

    unlink_existing: bool
    absence_management: bool | None = None
    leave_plans: tuple[str, ...] | None = None
    start_date: date | None = None
    end_date: date | None = None


def build_party(party: Party) -> bytes:
    """The UpdateOrCreateParty request for ``party``; characters that XML cannot carry become blanks."""
    name, dba = xml_text(party.legal_name), xml_text(party.dba)
    short = name[:_SHORT_NAME_LENGTH]
    names: dict[str, Value] = {
        "LegalBusinessName": name,
        "Name": name,
        "ShortName": short,
        "UpperName": name.upper(),
        "UpperShortName": short.upper(),
        "DoingBusinessAs": dba,
        "PronouncedAs": party.kept.get("PronouncedAs"),
    }
    fields = dict(party.kept) | names | {"CustomerNo": party.employer_id, "CorporateTaxNumber": party.fein}

    root, data = _update_request(UPDATE_OR_CREATE_PARTY)
    integration = _add(data, "PartyIntegrationDTO")
    _add_all(integration, INTEGRATION, {})
    organisation = _add(_add(integration, "organisation"), "OCOrganisation")
    _add_all(organisation, PARTY, fields)
    _add_contacts(organisation)
    _add_all(organisation, ORGANISATION, fields)
    record = _add(_add(organisation, "names"), "OCOrganisationName")
    _add_all(record, RECORD, {})
    _add_all(record, NAME, names)
    default = _add(_add(record, "organisationWithDefault"), "OCOrganisation")
    _add_all(default, RECORD, {})
    _add_all(default, PARTY, fields)
    _add_all(default, ORGANISATION, fields)
    return _bytes(root)


def build_service_agreement(customer_number: int, agreement: ServiceAgreement) -> bytes:
    """The ServiceAgreementService request that gives the employer ``customer_number`` this ``agreement``."""
    values: dict[str, str | None] = {
        "CustomerNumber": str(customer_number),
        "AbsenceManagement": None if agreement.absence_management is None else str(agreement.absence_management),
        "LeavePlans": None if agreement.leave_plans is None else ", ".join(agreement.leave_plans),
        "UnlinkAllExistingLeavePlans": str(agreement.unlink_existing),
        "StartDate": agreement.start_date.isoformat() if agreement.start_date else None,
        "EndDate": agreement.end_date.isoformat() if agreement.end_date else None,
    }
    root, data = _update_request(SERVICE_AGREEMENT)
    additional = _add(data, "additional-data-set")
    for name, value in values.items():
        if value is not None:
            entry = _add(additional, "additional-data")
            _add(entry, "name").text = name
            _add(entry, "value").text = value
    return _bytes(root)


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


def xml_text(text: str) -> str:
    """``text`` with each character that XML 1.0 has no way to carry (controls, U+FFFE …) replaced by a blank."""
    return _NOT_XML.sub(" ", text)


_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# --- reading -----------------------------------------------------------------------------------------------------

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
    if root.tag != f"{{{_NAMESPACE}{call}}}{root_name}":
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
    if element is None or element.get(f"{{{_XSI}}}nil") in ("true", "1"):
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


# --- building ----------------------------------------------------------------------------------------------------


def _update_request(call: str) -> tuple[etree._Element, etree._Element]:
    root = etree.Element(f"{{{_NAMESPACE}{call}}}WSUpdateRequest", nsmap={"p": _NAMESPACE + call, "xsi": _XSI})
    _add(root, "config-name").text = call
    return root, _add(root, "update-data")


def _add(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, name)


def _add_all(parent: etree._Element, defaults: Mapping[str, Value], values: Mapping[str, Value]) -> None:
    """One element for each of ``defaults``, in their order, with its value from ``values`` where that has one."""
    for name, default in defaults.items():
        value = values.get(name)
        _set(_add(parent, name), default if value is None else value)


def _set(element: etree._Element, value: Value) -> None:
    match value:
        case None:
            pass
        case bool():
            element.text = "true" if value else "false"
        case int() | str():
            element.text = str(value)
        case Enumeration(instance, domain, full_id):
            triple = _add(element, "InstanceDomainAndFullId")
            _add(triple, "InstanceName").text = instance
            _add(triple, "DomainName").text = domain
            _add(triple, "FullId").text = str(full_id)


def _add_contacts(organisation: etree._Element) -> None:
    """What stands between the two halves of the outer party only: contacts (none) and one empty alias."""
    _add(organisation, "personalContactMediums")
    _add(organisation, "partyContactPreferences")
    alias = _add(_add(organisation, "partyAliases"), "OCPartyAlias")
    _set(_add(alias, "Type"), Enumeration("Unknown", "Party Alias Type", 8928000))
    _add(alias, "Value")
    _add(organisation, "pointsOfContact")


def _bytes(root: etree._Element) -> bytes:
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


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

ELEMENTS = frozenset(_FIELDS | NAME | INTEGRATION) | {
    *("CustomerNumber", "UnlinkAllExistingLeavePlans", "AbsenceManagement", "LeavePlans", "StartDate", "EndDate"),
}
"""Names of elements and values in our requests: an error of the vendor's may name them."""
