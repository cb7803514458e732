"""The XML of the update requests.

    build_party             Party            → UpdateOrCreateParty request
    build_service_agreement ServiceAgreement → ServiceAgreementService request

The facts are the vendor's interface: element names, their order, enumeration ids and the null date. Elements always
have the order of the tables in ``party_fields``, so that equal employers give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from paidleave.fineos.client.messages import (
    NAMESPACE,
    SERVICE_AGREEMENT,
    UPDATE_OR_CREATE_PARTY,
    XSI,
    Party,
    ServiceAgreement,
    xml_text,
)
from paidleave.fineos.client.party_fields import INTEGRATION, NAME, ORGANISATION, PARTY, RECORD, Enumeration, Value

_SHORT_NAME_LENGTH = 8

ELEMENTS = frozenset(PARTY | ORGANISATION | NAME | INTEGRATION) | {
    *("CustomerNumber", "UnlinkAllExistingLeavePlans", "AbsenceManagement", "LeavePlans", "StartDate", "EndDate"),
}
"""Names of elements and values in our requests: an error of the vendor's may name them."""


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


def _update_request(call: str) -> tuple[etree._Element, etree._Element]:
    root = etree.Element(f"{{{NAMESPACE}{call}}}WSUpdateRequest", nsmap={"p": NAMESPACE + call, "xsi": XSI})
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
