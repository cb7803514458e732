"""The three composer calls: validate the request, apply it, build the response."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

from paidleave.fineos.simulator import agreements, message_schema
from paidleave.fineos.simulator.agreements import RequestRejected
from paidleave.fineos.simulator.document import Element, MalformedDocument, read
from paidleave.fineos.simulator.employer_record import format_organization
from paidleave.fineos.simulator.faults import Faults
from paidleave.fineos.simulator.store import SimulatorStore

NAMESPACE = "http://www.fineos.com/wscomposer/"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_OUTER = "organisation/OCOrganisation/"
_NAME = _OUTER + "names/OCOrganisationName/"
_INNER = _NAME + "organisationWithDefault/OCOrganisation/"
_PRESERVED = (
    *("PronouncedAs", "AccountingDate", "FinancialYearEnd", "PartyType", "DateBusinessCommenced"),
    *("GroupClient", "SecuredClient", "NotificationIssued"),
)
_NAMES = ("LegalBusinessName", "Name", "ShortName", "UpperName", "UpperShortName", "DoingBusinessAs", "PronouncedAs")


@dataclass(frozen=True)
class ComposerResponse:
    """The response to a call, and the outcome that is recorded."""

    status: int
    body: str
    outcome: str
    number: int | None = None


def read_employer(store: SimulatorStore, fein: str | None) -> ComposerResponse:
    """Return the parties with that FEIN."""
    if fein is None or not re.fullmatch("[0-9]{9}", fein, re.ASCII):
        return ComposerResponse(400, _format_error("param_str_taxId must have nine digits"), "invalid")
    parties = store.find_parties(fein)
    body = "".join(format_organization(party) for party in parties)
    response = (
        f'{_DECLARATION}<p:ReadEmployerResponse xmlns:p="{NAMESPACE}ReadEmployer" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{body}<additional-data-set/></p:ReadEmployerResponse>'
    )
    return ComposerResponse(200, response, "found" if parties else "unknown", parties[0].number if parties else None)


def update(store: SimulatorStore, call: str, body: bytes, faults: Faults) -> ComposerResponse:
    """Apply the update ``call`` with this request and record the call in the same transaction."""
    try:
        data = _find_update_data(read(body), call)
        with store.transaction():
            response = _UPDATES[call](store, data, faults)
            store.record_call(call, response.number, response.outcome)
        return response
    except MalformedDocument as error:
        response = ComposerResponse(400, _format_error(str(error)), "malformed")
    except message_schema.InvalidMessage as error:
        response = ComposerResponse(422, _format_error(str(error)), "invalid")
    except RequestRejected as error:
        response = ComposerResponse(
            200,
            _format_update_response(call, {"SERVICE_RESPONSE_CODE": "400", "VALIDATION_MESSAGE": str(error)}),
            "refused",
        )
    store.record_call(call, response.number, response.outcome)
    return response


def _find_update_data(root: Element, call: str) -> Element:
    if root.name != f"{NAMESPACE}{call} WSUpdateRequest":
        raise message_schema.InvalidMessage("the root is not the WSUpdateRequest of this service")
    if [child.name for child in root.children] != ["config-name", "update-data"]:
        raise message_schema.InvalidMessage("WSUpdateRequest must contain config-name and update-data")
    name, data = root.children
    if name.text != call or name.children or root.text.strip():
        raise message_schema.InvalidMessage("config-name is not the name of this service")
    message_schema.require_elements_only(data, "update-data")
    return data


def _update_party(store: SimulatorStore, data: Element, faults: Faults) -> ComposerResponse:
    if [child.name for child in data.children] != ["PartyIntegrationDTO"]:
        raise message_schema.InvalidMessage("update-data must contain one PartyIntegrationDTO")
    fields = message_schema.validate(data.children[0], "PARTY")
    for name in _NAMES:
        if not fields[_OUTER + name] == fields[_NAME + name] == fields[_INNER + name]:
            raise message_schema.InvalidMessage(f"{name} differs between the party and its name record")
    outer = {path[len(_OUTER) :]: text for path, text in fields.items() if path.startswith(_OUTER)}
    for path, text in fields.items():
        if path.startswith(_INNER) and (name := path[len(_INNER) :]) in outer and outer[name] != text:
            raise message_schema.InvalidMessage(f"{name} differs between the party and its default")
    name, fein = outer["LegalBusinessName"], outer["CorporateTaxNumber"]
    short = outer["ShortName"]
    if not short or not name.startswith(short):
        raise message_schema.InvalidMessage("ShortName is not the start of LegalBusinessName")
    derived = {"Name": name, "UpperName": name.upper(), "UpperShortName": short.upper()}
    for element, text in derived.items():
        if outer[element] != text:
            raise message_schema.InvalidMessage(f"{element} does not match LegalBusinessName")
    if fein in faults.status:
        return ComposerResponse(
            faults.status[fein], _format_error("rejected by an injected fault"), f"status {faults.status[fein]}"
        )
    if fein in faults.refuse:
        raise RequestRejected(faults.refuse[fein])
    kept = {element: outer[element] for element in _PRESERVED}
    number = store.put_party(outer["CustomerNo"], fein, name, outer["DoingBusinessAs"], kept)
    values = {"SERVICE_RESPONSE_CODE": "200", "CUSTOMER_NUMBER": str(number)}
    return ComposerResponse(
        200, _format_update_response("UpdateOrCreateParty", values, oid=f"PE:00012:{number:010d}"), "done", number
    )


def _update_service_agreement(store: SimulatorStore, data: Element, faults: Faults) -> ComposerResponse:
    if [child.name for child in data.children] != ["additional-data-set"]:
        raise message_schema.InvalidMessage("update-data must contain one additional-data-set")
    message_schema.require_elements_only(data.children[0], "additional-data-set")
    values: dict[str, str] = {}
    for entry in data.children[0].children:
        if entry.name != "additional-data":
            raise message_schema.InvalidMessage("additional-data-set must contain additional-data only")
        pair = message_schema.validate(entry, "PAIR")
        if pair["name"] in values:
            raise message_schema.InvalidMessage("duplicate name")
        values[pair["name"]] = pair["value"]
    number = agreements.parse_customer_number(values)
    fein = store.find_fein(number)
    if fein is None:
        raise RequestRejected("CustomerNumber does not exist")
    if fein in faults.refuse_agreement:
        raise RequestRejected(faults.refuse_agreement[fein])
    store.put_agreement(number, agreements.apply_request(values, store.find_agreement(number)))
    response = {"SERVICE_RESPONSE_CODE": "200", "CustomerNumber": str(number)}
    return ComposerResponse(200, _format_update_response("ServiceAgreementService", response), "done", number)


_UPDATES = {"UpdateOrCreateParty": _update_party, "ServiceAgreementService": _update_service_agreement}
UPDATES = tuple(_UPDATES)


def _format_update_response(call: str, values: dict[str, str], oid: str | None = None) -> str:
    oids = f"<oid-list><oid>{oid}</oid></oid-list>" if oid else "<oid-list/>"
    entries = "".join(
        f"<additional-data><name>{name}</name><value>{escape(value)}</value></additional-data>"
        for name, value in values.items()
    )
    return (
        f'{_DECLARATION}<p:WSUpdateResponse xmlns:p="{NAMESPACE}{call}">{oids}'
        f"<additional-data-set>{entries}</additional-data-set></p:WSUpdateResponse>"
    )


def _format_error(text: str) -> str:
    return f"{_DECLARATION}<error><message>{escape(text)}</message></error>"
