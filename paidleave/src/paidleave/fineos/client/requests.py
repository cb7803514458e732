"""XML of the update requests.

    build_party             Party            → UpdateOrCreateParty request
    build_service_agreement ServiceAgreement → ServiceAgreementService request

Element names, order, enumeration IDs and the null date are those of the vendor's interface. Elements follow the order
of the tables in ``party_fields``, so that equal employers result in equal bytes.

The XML is formatted as text. A tree of lxml with the 125 values of a party takes five times as long, a tenth of the
loader's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

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

    first, second, record = _format_all(PARTY, fields), _format_all(ORGANIZATION, fields), _format_all(RECORD, {})
    default = _wrap("organisationWithDefault/OCOrganisation", record + first + second)
    name_record = _wrap("names/OCOrganisationName", record + _format_all(NAME, names) + default)
    organization = _wrap("organisation/OCOrganisation", first + _CONTACTS + second + name_record)
    return _build_request(
        UPDATE_OR_CREATE_PARTY, _wrap("PartyIntegrationDTO", _format_all(INTEGRATION, {}) + organization)
    )


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
    entries = (
        _wrap("additional-data", _format("name", name) + _format("value", value))
        for name, value in values.items()
        if value is not None
    )
    return _build_request(SERVICE_AGREEMENT, _wrap("additional-data-set", "".join(entries)))


def _build_request(call: str, data: str) -> bytes:
    namespace = NAMESPACE + call
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        f'<p:WSUpdateRequest xmlns:p="{namespace}" xmlns:xsi="{XSI}" '
        f'xsi:schemaLocation="{namespace} {_SCHEMA_FILES[call]}">'
        f"<config-name>{call}</config-name><update-data>{data}</update-data></p:WSUpdateRequest>"
    ).encode()


def _format_all(defaults: Mapping[str, Value], values: Mapping[str, Value]) -> str:
    """Return one element for each of ``defaults``, in order, with the value from ``values`` or else the default."""
    return "".join(
        _format(name, default if (value := values.get(name)) is None else value) for name, default in defaults.items()
    )


def _format(name: str, value: Value) -> str:
    match value:
        case None:
            return f"<{name}/>"
        case str():
            return f"<{name}>{_escape(value)}</{name}>"
        case bool():
            return f"<{name}>{'true' if value else 'false'}</{name}>"
        case int():
            return f"<{name}>{value}</{name}>"
        case Enumeration(instance, domain, full_id):
            return (
                f"<{name}><InstanceDomainAndFullId><InstanceName>{_escape(instance)}</InstanceName>"
                f"<DomainName>{_escape(domain)}</DomainName><FullId>{full_id}</FullId></InstanceDomainAndFullId></{name}>"
            )
        case Nil():
            return f'<{name} xsi:nil="true"/>'


def _wrap(path: str, content: str) -> str:
    """Return ``content`` in the elements of ``path``, which are separated by slashes."""
    for name in reversed(path.split("/")):
        content = f"<{name}>{content}</{name}>"
    return content


def _escape(text: str) -> str:
    return escape(text, {"\r": "&#13;"})  # A parser replaces a bare carriage return by a line feed.


_CONTACTS = (
    "<personalContactMediums/><partyContactPreferences/>"
    + _wrap(
        "partyAliases/OCPartyAlias",
        _format("Type", Enumeration("Unknown", "Party Alias Type", 8928000)) + _format("Value", None),
    )
    + "<pointsOfContact/>"
)
"""The elements between the two halves of the outer party: empty contacts and one empty alias."""
