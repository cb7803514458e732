"""The three composer calls: check the request, apply it, write the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

from paidleave.fineos.simulator import agreements, description
from paidleave.fineos.simulator.agreements import Unacceptable
from paidleave.fineos.simulator.document import Element, Malformed, read
from paidleave.fineos.simulator.faults import Faults
from paidleave.fineos.simulator.store import Party, Store

NAMESPACE = "http://www.fineos.com/wscomposer/"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_OUTER = "organisation/OCOrganisation/"
_NAME = _OUTER + "names/OCOrganisationName/"
_INNER = _NAME + "organisationWithDefault/OCOrganisation/"
_KEPT = (
    *("PronouncedAs", "AccountingDate", "FinancialYearEnd", "PartyType", "DateBusinessCommenced"),
    *("DateOfIncorporation", "GroupClient", "SecuredClient", "NotificationIssued"),
)
_NAMES = ("LegalBusinessName", "Name", "ShortName", "UpperName", "UpperShortName", "DoingBusinessAs", "PronouncedAs")


@dataclass(frozen=True)
class Answer:
    """What goes back, and what the journal keeps of the call."""

    status: int
    body: str
    outcome: str
    number: int | None = None


def read_employer(store: Store, fein: str | None) -> Answer:
    """The parties with that FEIN."""
    if fein is None or not re.fullmatch("[0-9]{9}", fein, re.ASCII):
        return Answer(400, _error("param_str_taxId must have nine digits"), "invalid")
    parties = store.parties(fein)
    body = "".join(_organisation(party) for party in parties)
    answer = (
        f'{_DECLARATION}<p:ReadEmployerResponse xmlns:p="{NAMESPACE}ReadEmployer" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{body}</p:ReadEmployerResponse>'
    )
    return Answer(200, answer, "found" if parties else "unknown", parties[0].number if parties else None)


def update(store: Store, call: str, body: bytes, faults: Faults) -> Answer:
    """Carry out the update ``call`` with this request, in one transaction with its journal entry."""
    try:
        data = _update_data(read(body), call)
        with store.transaction():
            answer = _UPDATES[call](store, data, faults)
            store.journal(call, answer.number, answer.outcome)
        return answer
    except Malformed as error:
        answer = Answer(400, _error(str(error)), "malformed")
    except description.Invalid as error:
        answer = Answer(422, _error(str(error)), "invalid")
    except Unacceptable as error:
        answer = Answer(
            200, _update_response(call, {"SERVICE_RESPONSE_CODE": "400", "VALIDATION_MESSAGE": str(error)}), "refused"
        )
    store.journal(call, answer.number, answer.outcome)
    return answer


def _update_data(root: Element, call: str) -> Element:
    if root.name != f"{NAMESPACE}{call} WSUpdateRequest":
        raise description.Invalid("the root is not the WSUpdateRequest of this service")
    if [child.name for child in root.children] != ["config-name", "update-data"]:
        raise description.Invalid("WSUpdateRequest must hold config-name and update-data")
    name, data = root.children
    if name.text != call or name.children or root.text.strip():
        raise description.Invalid("config-name is not the name of this service")
    description.elements_only(data, "update-data")
    return data


def _party(store: Store, data: Element, faults: Faults) -> Answer:
    if [child.name for child in data.children] != ["PartyIntegrationDTO"]:
        raise description.Invalid("update-data must hold one PartyIntegrationDTO")
    fields = description.check(data.children[0], "PARTY")
    for name in _NAMES:
        if not fields[_OUTER + name] == fields[_NAME + name] == fields[_INNER + name]:
            raise description.Invalid(f"{name} differs between the party and its name record")
    outer = {path[len(_OUTER) :]: text for path, text in fields.items() if path.startswith(_OUTER)}
    for path, text in fields.items():
        if path.startswith(_INNER) and (name := path[len(_INNER) :]) in outer and outer[name] != text:
            raise description.Invalid(f"{name} differs between the party and its default")
    name, fein = outer["LegalBusinessName"], outer["CorporateTaxNumber"]
    short = name[:8]
    derived = {"Name": name, "UpperName": name.upper(), "ShortName": short, "UpperShortName": short.upper()}
    for element, text in derived.items():
        if outer[element] != text:
            raise description.Invalid(f"{element} does not follow from LegalBusinessName")
    if fein in faults.status:
        return Answer(faults.status[fein], _error("refused by setting"), f"status {faults.status[fein]}")
    if fein in faults.refuse:
        raise Unacceptable(faults.refuse[fein])
    kept = {element: outer[element] for element in _KEPT}
    number = store.put_party(outer["CustomerNo"], fein, name, outer["DoingBusinessAs"], kept)
    answer = {"SERVICE_RESPONSE_CODE": "200", "CUSTOMER_NUMBER": str(number)}
    return Answer(200, _update_response("UpdateOrCreateParty", answer, oid=f"PE:00012:{number:010d}"), "done", number)


def _service_agreement(store: Store, data: Element, faults: Faults) -> Answer:
    if [child.name for child in data.children] != ["additional-data-set"]:
        raise description.Invalid("update-data must hold one additional-data-set")
    description.elements_only(data.children[0], "additional-data-set")
    values: dict[str, str] = {}
    for entry in data.children[0].children:
        if entry.name != "additional-data":
            raise description.Invalid("additional-data-set must hold additional-data only")
        pair = description.check(entry, "PAIR")
        if pair["name"] in values:
            raise description.Invalid("a name comes twice")
        values[pair["name"]] = pair["value"]
    number = agreements.customer_number(values)
    fein = store.fein(number)
    if fein is None:
        raise Unacceptable("CustomerNumber does not exist")
    if fein in faults.refuse_agreement:
        raise Unacceptable(faults.refuse_agreement[fein])
    store.put_agreement(number, agreements.apply(values, store.agreement(number)))
    answer = {"SERVICE_RESPONSE_CODE": "200", "CustomerNumber": str(number)}
    return Answer(200, _update_response("ServiceAgreementService", answer), "done", number)


_UPDATES = {"UpdateOrCreateParty": _party, "ServiceAgreementService": _service_agreement}
UPDATES = tuple(_UPDATES)


def _update_response(call: str, values: dict[str, str], oid: str | None = None) -> str:
    oids = f"<oid-list><oid>{oid}</oid></oid-list>" if oid else "<oid-list/>"
    entries = "".join(
        f"<additional-data><name>{name}</name><value>{escape(value)}</value></additional-data>"
        for name, value in values.items()
    )
    return (
        f'{_DECLARATION}<p:WSUpdateResponse xmlns:p="{NAMESPACE}{call}">{oids}'
        f"<additional-data-set>{entries}</additional-data-set></p:WSUpdateResponse>"
    )


def _organisation(party: Party) -> str:
    fields = {
        "OID": f"PE:00012:{party.number:010d}",
        "BOEVersion": "0",
        "CustomerNo": str(party.number),
        "CorporateTaxNumber": party.fein,
        "LegalBusinessName": party.name,
        "Name": party.name,
        "DoingBusinessAs": party.dba,
        **party.kept,
    }
    units = "".join(
        f"<OrganisationUnit>{_leaf('OID', oid)}{_leaf('Name', name)}</OrganisationUnit>" for oid, name in party.units
    )
    leaves = "".join(_leaf(name, text) for name, text in fields.items())
    return f"<OCOrganisation>{leaves}<organisationUnits>{units}</organisationUnits></OCOrganisation>"


def _leaf(name: str, text: str) -> str:
    if name == "PartyType":
        instance, domain, full_id = text.split("/")
        return (
            f"<PartyType><InstanceDomainAndFullId><InstanceName>{escape(instance)}</InstanceName>"
            f"<DomainName>{escape(domain)}</DomainName><FullId>{full_id}</FullId></InstanceDomainAndFullId></PartyType>"
        )
    if not text:
        return f'<{name} xsi:nil="true"/>'
    return f"<{name}>{escape(text)}</{name}>"


def _error(text: str) -> str:
    return f"{_DECLARATION}<error><message>{escape(text)}</message></error>"
