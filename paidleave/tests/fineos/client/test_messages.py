"""The XML that we send, byte by byte and by the simulator's own description of it; and the XML that we read."""

from __future__ import annotations

from datetime import date
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import LONG
from paidleave.fineos.client.answers import read_employers, read_update
from paidleave.fineos.client.errors import FineosInvalidAnswer, FineosValidationFailed, known_words
from paidleave.fineos.client.messages import OrganisationUnit, Party, ServiceAgreement, xml_text
from paidleave.fineos.client.party_fields import Enumeration
from paidleave.fineos.client.requests import build_party, build_service_agreement
from paidleave.fineos.simulator import description, document

EMPLOYER = "0b0e39b8-6d55-4a34-b7a1-3c1f3e3ef55c"
PARTY = "http://www.fineos.com/wscomposer/UpdateOrCreateParty"


def fields(body: bytes) -> dict[str, str]:
    """The leaves of a party request, checked by the simulator's description."""
    data = document.read(body).children[1]
    return description.check(data.children[0], "PARTY")


def test_a_party_has_every_element_that_the_vendor_describes() -> None:
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


def test_what_the_vendor_keeps_is_sent_back_and_the_name_is_not() -> None:
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
@given(st.text(max_size=80).filter(lambda name: xml_text(name).strip()))
def test_any_name_arrives_as_it_is_but_for_what_xml_cannot_carry(name: str) -> None:
    found = fields(build_party(Party(EMPLOYER, "123456789", name, name)))
    assert found["organisation/OCOrganisation/LegalBusinessName"] == xml_text(name)


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x1f", "\x0b", "\ufffe", "\uffff", "\ud800"])
def test_characters_that_xml_cannot_carry_become_blanks(character: str) -> None:
    assert xml_text(f"a{character}b") == "a b"


def test_a_service_agreement_sends_only_what_is_set() -> None:
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


def test_an_empty_list_of_plans_is_sent_empty() -> None:
    root = ElementTree.fromstring(build_service_agreement(1, ServiceAgreement(True, False, ())))
    values = {entry.findtext("name"): entry.findtext("value") for entry in root.iter("additional-data")}
    assert values["LeavePlans"] == ""
    assert values["AbsenceManagement"] == "False"


def read_answer(inner: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?><p:ReadEmployerResponse '
        'xmlns:p="http://www.fineos.com/wscomposer/ReadEmployer" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{inner}</p:ReadEmployerResponse>'
    ).encode()


def test_an_answer_without_organisation_means_unknown() -> None:
    assert read_employers(read_answer("<additional-data-set/>")) == []


def test_a_known_employer_is_read_with_what_must_be_kept() -> None:
    (organisation,) = read_employers(
        read_answer(
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
    assert organisation.customer_number == 77
    assert organisation.kept == {
        "GroupClient": True,
        "AccountingDate": "2020-01-01T00:00:00",
        "PartyType": Enumeration("Employer", "Party Type", 3290008),
    }
    assert organisation.units == (OrganisationUnit("PE:2:2", "HRD", ("PE:3:3",)),)


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
def test_an_answer_that_is_not_as_agreed_is_refused(inner: str) -> None:
    with pytest.raises(FineosInvalidAnswer):
        read_employers(read_answer(inner))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"<p:ReadEmployerResponse xmlns:p='http://other'/>",
        b"<p:ReadEmployerResponse xmlns:p='http://www.fineos.com/wscomposer/ReadEmployer'>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + read_answer("")[38:],
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'>" + read_answer("")[38:],
        read_answer("<a>" * 300 + "</a>" * 300),
    ],
)
def test_hostile_and_broken_answers_are_refused(body: bytes) -> None:
    with pytest.raises(FineosInvalidAnswer):
        read_employers(body)


def update_answer(**values: str) -> bytes:
    entries = "".join(
        f"<additional-data><name>{name}</name><value>{escape(value)}</value></additional-data>"
        for name, value in values.items()
    )
    return (
        f'<p:WSUpdateResponse xmlns:p="{PARTY}"><oid-list/><additional-data-set>{entries}</additional-data-set>'
        "</p:WSUpdateResponse>"
    ).encode()


def test_the_customer_number_is_read_from_an_update() -> None:
    answer = update_answer(SERVICE_RESPONSE_CODE="200", CUSTOMER_NUMBER="1234")
    assert read_update(answer, "UpdateOrCreateParty", "CUSTOMER_NUMBER") == 1234


@pytest.mark.parametrize("number", ["", "12a", "-1", "1234567890", "१२"])
def test_an_update_without_customer_number_is_refused(number: str) -> None:
    with pytest.raises(FineosInvalidAnswer, match="CUSTOMER_NUMBER"):
        read_update(update_answer(CUSTOMER_NUMBER=number), "UpdateOrCreateParty", "CUSTOMER_NUMBER")


def test_a_validation_message_is_told_without_what_it_quotes() -> None:
    answer = update_answer(VALIDATION_MESSAGE="LegalBusinessName 'Jane Doe Ltd 123-45-6789' is too long")
    with pytest.raises(FineosValidationFailed) as caught:
        read_update(answer, "UpdateOrCreateParty", "CUSTOMER_NUMBER")
    assert str(caught.value) == "UpdateOrCreateParty: not carried out: LegalBusinessName … is too long"


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=100))
def test_nothing_unknown_survives_in_a_vendors_text(text: str) -> None:
    told = known_words(f"name is too long {text}", ["CustomerNo"]).split()
    assert told[:4] == ["name", "is", "too", "long"]
    assert all(word == "…" or known_words(word, ["CustomerNo"]) == word for word in told)
    assert not any(character.isdigit() for word in told for character in word)
