"""XML of the update requests.

    build_party             Party            → UpdateOrCreateParty request
    build_service_agreement ServiceAgreement → ServiceAgreementService request

Element names, order, enumeration IDs and the null date are those of the vendor's interface. Elements follow the order
of the tables in ``party_fields``, so that equal employers result in equal bytes.
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
    replace_invalid_characters,
)
from paidleave.fineos.client.party_fields import INTEGRATION, NAME, ORGANIZATION, PARTY, RECORD, Enumeration, Nil, Value
from paidleave.fineos.client.party_names import cut_name, shorten_name

_SCHEMA_FILES = {UPDATE_OR_CREATE_PARTY: "updateOrcreateparty.xsd", SERVICE_AGREEMENT: "serviceagreement.xsd"}
"""The vendor's names of the schemas, which the requests state."""

ELEMENTS = frozenset(PARTY | ORGANIZATION | NAME | INTEGRATION) | {
    *("CustomerNumber", "UnlinkAllExistingLeavePlans", "AbsenceManagement", "LeavePlans", "StartDate", "EndDate"),
}
"""Names of the elements and values of the requests. Error messages of the vendor can contain them."""


def build_party(party: Party) -> bytes:
    """Build the UpdateOrCreateParty request for ``party``.

    Spaces replace characters that XML cannot contain. Names are cut to the length that FINEOS accepts.
    """
    name = cut_name(replace_invalid_characters(party.legal_name))
    dba = cut_name(replace_invalid_characters(party.dba))
    short = shorten_name(name)
    names: dict[str, Value] = {
        "LegalBusinessName": name,
        "Name": name,
        "ShortName": short,
        "UpperName": name.upper(),
        "UpperShortName": short.upper(),
        "DoingBusinessAs": dba,
        "PronouncedAs": party.preserved.get("PronouncedAs"),
    }
    fields = dict(party.preserved) | names | {"CustomerNo": party.employer_id, "CorporateTaxNumber": party.fein}

    root, data = _start_update_request(UPDATE_OR_CREATE_PARTY)
    integration = _add(data, "PartyIntegrationDTO")
    _add_all(integration, INTEGRATION, {})
    organization = _add(_add(integration, "organisation"), "OCOrganisation")
    _add_all(organization, PARTY, fields)
    _add_contacts(organization)
    _add_all(organization, ORGANIZATION, fields)
    record = _add(_add(organization, "names"), "OCOrganisationName")
    _add_all(record, RECORD, {})
    _add_all(record, NAME, names)
    default = _add(_add(record, "organisationWithDefault"), "OCOrganisation")
    _add_all(default, RECORD, {})
    _add_all(default, PARTY, fields)
    _add_all(default, ORGANIZATION, fields)
    return _serialize(root)


def build_service_agreement(customer_number: int, agreement: ServiceAgreement) -> bytes:
    """Build the ServiceAgreementService request that sets ``agreement`` for the employer ``customer_number``."""
    values: dict[str, str | None] = {
        "CustomerNumber": str(customer_number),
        "UnlinkAllExistingLeavePlans": str(agreement.unlink_existing),
        "AbsenceManagement": None if agreement.absence_management is None else str(agreement.absence_management),
        "LeavePlans": None if agreement.leave_plans is None else ", ".join(agreement.leave_plans),
        "StartDate": agreement.start_date.isoformat() if agreement.start_date else None,
        "EndDate": agreement.end_date.isoformat() if agreement.end_date else None,
    }
    root, data = _start_update_request(SERVICE_AGREEMENT)
    additional = _add(data, "additional-data-set")
    for name, value in values.items():
        if value is not None:
            entry = _add(additional, "additional-data")
            _add(entry, "name").text = name
            _add(entry, "value").text = value
    return _serialize(root)


def _start_update_request(call: str) -> tuple[etree._Element, etree._Element]:
    root = etree.Element(f"{{{NAMESPACE}{call}}}WSUpdateRequest", nsmap={"p": NAMESPACE + call, "xsi": XSI})
    root.set(f"{{{XSI}}}schemaLocation", f"{NAMESPACE}{call} {_SCHEMA_FILES[call]}")
    _add(root, "config-name").text = call
    return root, _add(root, "update-data")


def _add(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, name)


def _add_all(parent: etree._Element, defaults: Mapping[str, Value], values: Mapping[str, Value]) -> None:
    """Add one element for each of ``defaults``, in order, with the value from ``values`` or else the default."""
    for name, default in defaults.items():
        value = values.get(name)
        _set_value(_add(parent, name), default if value is None else value)


def _set_value(element: etree._Element, value: Value) -> None:
    match value:
        case None:
            pass
        case Nil():
            element.set(f"{{{XSI}}}nil", "true")
        case bool():
            element.text = "true" if value else "false"
        case int() | str():
            element.text = str(value)
        case Enumeration(instance, domain, full_id):
            triple = _add(element, "InstanceDomainAndFullId")
            _add(triple, "InstanceName").text = instance
            _add(triple, "DomainName").text = domain
            _add(triple, "FullId").text = str(full_id)


def _add_contacts(organization: etree._Element) -> None:
    """Add the elements between the two halves of the outer party: empty contacts and one empty alias."""
    _add(organization, "personalContactMediums")
    _add(organization, "partyContactPreferences")
    alias = _add(_add(organization, "partyAliases"), "OCPartyAlias")
    _set_value(_add(alias, "Type"), Enumeration("Unknown", "Party Alias Type", 8928000))
    _add(alias, "Value")
    _add(organization, "pointsOfContact")


def _serialize(root: etree._Element) -> bytes:
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
