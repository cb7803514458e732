"""The XML of requests, checked against the simulator's independent schema, and the parsing of responses."""

from __future__ import annotations

from datetime import date
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import LONG
from paidleave.fineos.client.errors import FineosInvalidResponse, FineosValidationFailed, redact_vendor_text
from paidleave.fineos.client.messages import OrganizationUnit, Party, ServiceAgreement, replace_invalid_characters
from paidleave.fineos.client.party_fields import Enumeration
from paidleave.fineos.client.requests import build_party, build_service_agreement
from paidleave.fineos.client.responses import parse_employers, parse_update
from paidleave.fineos.simulator import document, message_schema

EMPLOYER = "0b0e39b8-6d55-4a34-b7a1-3c1f3e3ef55c"
PARTY = "http://www.fineos.com/wscomposer/UpdateOrCreateParty"


def fields(body: bytes) -> dict[str, str]:
    """Return the leaves of a party request, validated with the simulator's schema."""
    data = document.read(body).children[1]
    return message_schema.validate(data.children[0], "PARTY")


def test_a_party_has_every_element_of_the_interface() -> None:
    found = fields(build_party(Party(EMPLOYER, "123456789", "Smith & Sons <Ltd>", "Smith's")))
    outer = "organisation/OCOrganisation/"
    inner = outer + "names/OCOrganisationName/organisationWithDefault/OCOrganisation/"
    for place in (outer, inner):
        assert found[place + "CustomerNo"] == EMPLOYER
        assert found[place + "CorporateTaxNumber"] == "123456789"
        assert found[place + "LegalBusinessName"] == found[place + "Name"] == "Smith & Sons <Ltd>"
        assert found[place + "UpperName"] == "SMITH & SONS <LTD>"
        assert found[place + "ShortName"] == "Smith & "
        assert found[place + "UpperShortName"] == "SMITH & "
        assert found[place + "DoingBusinessAs"] == "Smith's"
        assert found[place + "PartyType"] == "Employer/Party Type/3290008"
        assert found[place + "EOTReasonCode"] == "Unknown/EndOfTradingReasonCode/6592000"
    assert found[inner + "UserUpdatedBy"] == "PFML_API"
    assert found[inner + "persistent-boeversion"] == "0"
    assert found[outer + "names/OCOrganisationName/DefaultName"] == "true"
    assert len(found) == 125


def test_equal_parties_give_equal_bytes() -> None:
    party = Party(EMPLOYER, "123456789", "A", "B", {"GroupClient": True, "AccountingDate": "2020-01-01T00:00:00"})
    again = Party(EMPLOYER, "123456789", "A", "B", {"AccountingDate": "2020-01-01T00:00:00", "GroupClient": True})
    assert build_party(party) == build_party(again)


def test_preserved_fields_are_repeated_except_the_name() -> None:
    kept = {
        "PronouncedAs": "smiff",
        "FinancialYearEnd": "2020-06-30T00:00:00",
        "SecuredClient": True,
        "PartyType": Enumeration("Group", "Party Type", 3290009),
        "LegalBusinessName": "the vendor's idea of the name",
    }
    found = fields(build_party(Party(EMPLOYER, "123456789", "Smith", "Smith", kept)))
    outer = "organisation/OCOrganisation/"
    assert found[outer + "PronouncedAs"] == "smiff"
    assert found[outer + "names/OCOrganisationName/PronouncedAs"] == "smiff"
    assert found[outer + "FinancialYearEnd"] == "2020-06-30T00:00:00"
    assert found[outer + "SecuredClient"] == "true"
    assert found[outer + "PartyType"] == "Group/Party Type/3290009"
    assert found[outer + "LegalBusinessName"] == "Smith"


@settings(max_examples=2_000 if LONG else 60, deadline=None)
@given(st.text(max_size=80).filter(lambda name: replace_invalid_characters(name).strip()))
def test_names_are_unchanged_except_for_characters_invalid_in_xml(name: str) -> None:
    found = fields(build_party(Party(EMPLOYER, "123456789", name, name)))
    assert found["organisation/OCOrganisation/LegalBusinessName"] == replace_invalid_characters(name)


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x1f", "\x0b", "\ufffe", "\uffff", "\ud800"])
def test_characters_invalid_in_xml_become_spaces(character: str) -> None:
    assert replace_invalid_characters(f"a{character}b") == "a b"


def test_a_service_agreement_contains_only_the_set_fields() -> None:
    body = build_service_agreement(
        42,
        ServiceAgreement(
            True, True, ("MA PFML - Family", "MA PFML - Military Care"), start_date=date(2022, 1, 2), end_date=None
        ),
    )
    root = ElementTree.fromstring(body)
    assert root.tag == "{http://www.fineos.com/wscomposer/ServiceAgreementService}WSUpdateRequest"
    assert root.findtext("config-name") == "ServiceAgreementService"
    pairs = [
        (entry.findtext("name"), entry.findtext("value"))
        for entry in root.iterfind("update-data/additional-data-set/additional-data")
    ]
    assert pairs == [
        ("CustomerNumber", "42"),
        ("AbsenceManagement", "True"),
        ("LeavePlans", "MA PFML - Family, MA PFML - Military Care"),
        ("UnlinkAllExistingLeavePlans", "True"),
        ("StartDate", "2022-01-02"),
    ]


def test_an_empty_list_of_plans_is_sent_as_an_empty_value() -> None:
    root = ElementTree.fromstring(build_service_agreement(1, ServiceAgreement(True, False, ())))
    values = {entry.findtext("name"): entry.findtext("value") for entry in root.iter("additional-data")}
    assert values["LeavePlans"] == ""
    assert values["AbsenceManagement"] == "False"


def build_read_response(inner: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?><p:ReadEmployerResponse '
        'xmlns:p="http://www.fineos.com/wscomposer/ReadEmployer" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{inner}</p:ReadEmployerResponse>'
    ).encode()


def test_a_response_without_organization_is_an_unknown_employer() -> None:
    assert parse_employers(build_read_response("<additional-data-set/>")) == []


def test_a_known_employer_is_parsed_with_its_preserved_fields() -> None:
    (organization,) = parse_employers(
        build_read_response(
            """<OCOrganisation><OID>PE:1:1</OID><CustomerNo> 77 </CustomerNo><PronouncedAs xsi:nil="true"/>
            <GroupClient>true</GroupClient><AccountingDate>2020-01-01T00:00:00</AccountingDate><Name>ignored</Name>
            <PartyType><InstanceDomainAndFullId><InstanceName>Employer</InstanceName>
            <DomainName>Party Type</DomainName><FullId>3290008</FullId></InstanceDomainAndFullId></PartyType>
            <organisationUnits><OrganisationUnit><OID>PE:2:2</OID><Name>HRD</Name><orgUnitLocationLinks>
            <OrgUnitLocationLink><partyLocationAssociation><OCPartyLocationAssociation><OID>PE:3:3</OID>
            </OCPartyLocationAssociation></partyLocationAssociation></OrgUnitLocationLink></orgUnitLocationLinks>
            </OrganisationUnit></organisationUnits></OCOrganisation>"""
        )
    )
    assert organization.customer_number == 77
    assert organization.preserved == {
        "GroupClient": True,
        "AccountingDate": "2020-01-01T00:00:00",
        "PartyType": Enumeration("Employer", "Party Type", 3290008),
    }
    assert organization.units == (OrganizationUnit("PE:2:2", "HRD", ("PE:3:3",)),)


@pytest.mark.parametrize(
    "inner",
    [
        "<OCOrganisation><Name>x</Name></OCOrganisation>",
        "<OCOrganisation><CustomerNo>twelve</CustomerNo></OCOrganisation>",
        "<OCOrganisation><CustomerNo>1</CustomerNo><GroupClient>maybe</GroupClient></OCOrganisation>",
        "<OCOrganisation><CustomerNo>1</CustomerNo><AccountingDate>soon</AccountingDate></OCOrganisation>",
        "<OCOrganisation><CustomerNo>1</CustomerNo><PartyType>Employer</PartyType></OCOrganisation>",
    ],
)
def test_a_response_that_does_not_match_the_interface_is_rejected(inner: str) -> None:
    with pytest.raises(FineosInvalidResponse):
        parse_employers(build_read_response(inner))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"<p:ReadEmployerResponse xmlns:p='http://other'/>",
        b"<p:ReadEmployerResponse xmlns:p='http://www.fineos.com/wscomposer/ReadEmployer'>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + build_read_response("")[38:],
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'>" + build_read_response("")[38:],
        build_read_response("<a>" * 300 + "</a>" * 300),
    ],
)
def test_malicious_and_malformed_responses_are_rejected(body: bytes) -> None:
    with pytest.raises(FineosInvalidResponse):
        parse_employers(body)


def build_update_response(**values: str) -> bytes:
    entries = "".join(
        f"<additional-data><name>{name}</name><value>{escape(value)}</value></additional-data>"
        for name, value in values.items()
    )
    return (
        f'<p:WSUpdateResponse xmlns:p="{PARTY}"><oid-list/><additional-data-set>{entries}</additional-data-set>'
        "</p:WSUpdateResponse>"
    ).encode()


def test_the_customer_number_is_parsed_from_an_update_response() -> None:
    response = build_update_response(SERVICE_RESPONSE_CODE="200", CUSTOMER_NUMBER="1234")
    assert parse_update(response, "UpdateOrCreateParty", "CUSTOMER_NUMBER") == 1234


@pytest.mark.parametrize("number", ["", "12a", "-1", "1234567890", "१२"])
def test_an_update_response_without_customer_number_is_rejected(number: str) -> None:
    with pytest.raises(FineosInvalidResponse, match="CUSTOMER_NUMBER"):
        parse_update(build_update_response(CUSTOMER_NUMBER=number), "UpdateOrCreateParty", "CUSTOMER_NUMBER")


def test_a_validation_message_is_reported_without_quoted_data() -> None:
    response = build_update_response(VALIDATION_MESSAGE="LegalBusinessName 'Jane Doe Ltd 123-45-6789' is too long")
    with pytest.raises(FineosValidationFailed) as caught:
        parse_update(response, "UpdateOrCreateParty", "CUSTOMER_NUMBER")
    assert str(caught.value) == "UpdateOrCreateParty: update rejected: LegalBusinessName … is too long"


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=100))
def test_unknown_words_of_the_vendors_text_are_redacted(text: str) -> None:
    words = redact_vendor_text(f"name is too long {text}", ["CustomerNo"]).split()
    assert words[:4] == ["name", "is", "too", "long"]
    assert all(word == "…" or redact_vendor_text(word, ["CustomerNo"]) == word for word in words)
    assert not any(character.isdigit() for word in words for character in word)
