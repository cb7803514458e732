"""The XML of requests, checked against the simulator's independent schema, and the parsing of responses."""

from __future__ import annotations

from datetime import date
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import LONG
from paidleave.fineos.client.errors import FineosInvalidResponse, FineosValidationFailed, redact_vendor_text
from paidleave.fineos.client.messages import OrganizationUnit, Party, ServiceAgreement, replace_invalid_characters
from paidleave.fineos.client.party_fields import Enumeration, Nil
from paidleave.fineos.client.requests import build_party, build_service_agreement
from paidleave.fineos.client.responses import parse_employers, parse_update
from paidleave.fineos.simulator import document, message_schema
from tests.fineos import vendor_schemas

FEIN = "123456789"
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
    assume(len(name.upper()) <= 100)
    found = fields(build_party(Party(EMPLOYER, "123456789", name, name)))
    assert found["organisation/OCOrganisation/LegalBusinessName"] == replace_invalid_characters(name)


@settings(max_examples=2_000 if LONG else 60, deadline=None)
@given(st.text(st.sampled_from("aB ß\ufb03\u0149é𝒳\x01"), min_size=1, max_size=255), st.text(max_size=255))
def test_every_request_is_valid_by_the_vendors_schema(name: str, dba: str) -> None:
    request = build_party(Party(EMPLOYER, FEIN, name, dba))
    assert vendor_schemas.find_errors("UpdateOrCreateParty.Request", request) == []


@pytest.mark.parametrize(
    ("name", "sent", "short", "upper_short"),
    [
        ("A" * 100, "A" * 100, "AAAAAAAA", "AAAAAAAA"),
        ("A" * 255, "A" * 100, "AAAAAAAA", "AAAAAAAA"),
        ("ß" * 51, "ß" * 50, "ßßßßß", "SSSSSSSSSS"),
        ("A" + "ß" * 60, "A" + "ß" * 49, "Aßßßß", "ASSSSSSSS"),
        ("Smith & " + "x" * 91 + " Sons", "Smith & " + "x" * 91, "Smith & ", "SMITH & "),
    ],
)
def test_long_names_are_cut(name: str, sent: str, short: str, upper_short: str) -> None:
    found = fields(build_party(Party(EMPLOYER, FEIN, name, name)))
    outer = "organisation/OCOrganisation/"
    assert found[outer + "Name"] == found[outer + "LegalBusinessName"] == found[outer + "DoingBusinessAs"] == sent
    assert (found[outer + "UpperName"], found[outer + "ShortName"]) == (sent.upper(), short)
    assert found[outer + "UpperShortName"] == upper_short


@pytest.mark.parametrize(
    ("request_", "namespace", "file"),
    [
        (build_party(Party(EMPLOYER, FEIN, "A", "B")), PARTY, "updateOrcreateparty.xsd"),
        (
            build_service_agreement(1, ServiceAgreement(True)),
            "http://www.fineos.com/wscomposer/ServiceAgreementService",
            "serviceagreement.xsd",
        ),
    ],
)
def test_a_request_states_its_schema(request_: bytes, namespace: str, file: str) -> None:
    location = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"
    assert ElementTree.fromstring(request_).get(location) == f"{namespace} {file}"


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
    assert vendor_schemas.find_errors("ServiceAgreementService.Request", body) == []
    pairs = [
        (entry.findtext("name"), entry.findtext("value"))
        for entry in root.iterfind("update-data/additional-data-set/additional-data")
    ]
    assert pairs == [
        ("CustomerNumber", "42"),
        ("UnlinkAllExistingLeavePlans", "True"),
        ("AbsenceManagement", "True"),
        ("LeavePlans", "MA PFML - Family, MA PFML - Military Care"),
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
    assert parse_employers(build_read_response("<additional-data-set/>"), FEIN) == []


def test_a_known_employer_is_parsed_with_its_preserved_fields() -> None:
    changes = {
        "GroupClient": "true",
        "SecuredClient": "1",
        "AccountingDate": "2020-01-01T00:00:00",
        "FinancialYearEnd": "nil",
        "Name": "ignored",
    }
    unit = vendor_schemas.build_unit("PE:2:2", "HRD", "PE:3:3", "PE:3:4")
    body = build_read_response(
        vendor_schemas.build_organization(changes, unit, vendor_schemas.build_unit("tl:1:1", "A"))
    )
    assert vendor_schemas.find_errors("ReadEmployer.Response", body) == []
    (organization,) = parse_employers(body, FEIN)
    assert organization.customer_number == 77
    assert organization.preserved == {
        "GroupClient": True,
        "SecuredClient": True,
        "NotificationIssued": False,
        "AccountingDate": "2020-01-01T00:00:00",
        "DateBusinessCommenced": "1999-12-31T00:00:00",
        "FinancialYearEnd": Nil(),
        "PartyType": Enumeration("Unknown", "Any", 1),
    }
    assert organization.units == (
        OrganizationUnit("PE:2:2", "HRD", ("PE:3:3", "PE:3:4")),
        OrganizationUnit("tl:1:1", "A"),
    )


def test_a_missing_date_at_fineos_is_sent_back_as_a_missing_date() -> None:
    body = build_read_response(vendor_schemas.build_organization({"AccountingDate": "nil"}))
    (organization,) = parse_employers(body, FEIN)
    request = build_party(Party(EMPLOYER, FEIN, "A", "B", organization.preserved))
    assert vendor_schemas.find_errors("UpdateOrCreateParty.Request", request) == []
    dates = ElementTree.fromstring(request).iter("AccountingDate")
    nil = {"{http://www.w3.org/2001/XMLSchema-instance}nil": "true"}
    assert [(date.text, date.attrib) for date in dates] == [(None, nil)] * 2


ORGANIZATION = vendor_schemas.build_organization()


@pytest.mark.parametrize(
    "inner",
    [
        "The employer is unknown.",
        "<Error>try later</Error>",
        "<error><message>Internal error</message></error>",
        f"<employers>{ORGANIZATION}</employers>",
        ORGANIZATION.replace(
            "<OCOrganisation>", "<OCOrganisation xmlns='http://www.fineos.com/wscomposer/ReadEmployer'>"
        ),
        f"<additional-data-set/>{ORGANIZATION}",
        f"{ORGANIZATION}text",
        f"{ORGANIZATION}<!-- comment --><OCEmployer/>",
        "<OCOrganisation/>",
        '<OCOrganisation xsi:nil="true"/>',
        "<ocorganisation/>",
        *(
            vendor_schemas.build_organization({name: content})
            for name, content in {
                "CustomerNo": "twelve",
                "CorporateTaxNumber": "987654321",
                "GroupClient": "maybe",
                "SecuredClient": "nil",
                "AccountingDate": "soon",
                "FinancialYearEnd": "",
                "PartyType": "Employer",
                "BOEVersion": "",
                "OID": "OU:1:1",
                "Name": "A" * 101,
                "organisationUnits": "<OrganisationUnit><OID>PE:1:1</OID><Name>A</Name></OrganisationUnit>",
            }.items()
        ),
    ],
)
def test_a_response_that_does_not_match_the_interface_is_rejected(inner: str) -> None:
    """None of them is an unknown employer."""
    with pytest.raises(FineosInvalidResponse) as caught:
        parse_employers(build_read_response(inner), FEIN)
    assert "maybe" not in str(caught.value)
    assert "twelve" not in str(caught.value)


def test_a_response_in_a_default_namespace_is_rejected() -> None:
    body = build_read_response(ORGANIZATION).replace(b"xmlns:p=", b"xmlns=").replace(b"p:Read", b"Read")
    with pytest.raises(FineosInvalidResponse, match="violates the schema"):
        parse_employers(body, FEIN)


def test_every_element_of_a_response_is_required() -> None:
    children = list(ElementTree.fromstring(build_read_response(ORGANIZATION))[0])
    assert len(children) > 50
    for number in range(len(children)):
        organization = ElementTree.Element("OCOrganisation")
        organization.extend(child for place, child in enumerate(children) if place != number)
        with pytest.raises(FineosInvalidResponse, match="violates the schema"):
            parse_employers(build_read_response(ElementTree.tostring(organization, "unicode")), FEIN)


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
        parse_employers(body, FEIN)


def build_update_response(**values: str) -> bytes:
    entries = "".join(
        f"<additional-data><name>{name}</name><value>{escape(value)}</value></additional-data>"
        for name, value in values.items()
    )
    return (
        f'<p:WSUpdateResponse xmlns:p="{PARTY}"><oid-list/><additional-data-set>{entries}</additional-data-set>'
        "</p:WSUpdateResponse>"
    ).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"<a>" + b"<b/>" * 600_000 + b"</a>",
        b"<a>" * 300 + b"</a>" * 300,
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<!DOCTYPE a ["
        + b"".join(b'<!ENTITY e%d "&e%d;&e%d;">' % (n + 1, n, n) for n in range(40))
        + b"]><a>&e40;</a>",
        b"<a " + b" ".join(b'b%d=""' % number for number in range(200_000)) + b"/>",
    ],
    ids=["many elements", "deep", "entity", "many entities", "many attributes"],
)
def test_a_response_that_is_costly_to_parse_is_an_error(body: bytes) -> None:
    with pytest.raises(FineosInvalidResponse):
        parse_employers(body, "100000001")


def test_the_customer_number_is_parsed_from_an_update_response() -> None:
    response = build_update_response(SERVICE_RESPONSE_CODE="200", CUSTOMER_NUMBER="1234")
    assert parse_update(response, "UpdateOrCreateParty", "CUSTOMER_NUMBER") == 1234


@pytest.mark.parametrize("number", ["", "12a", "-1", "1234567890", "१२"])
def test_an_update_response_without_customer_number_is_rejected(number: str) -> None:
    with pytest.raises(FineosInvalidResponse, match="CUSTOMER_NUMBER"):
        parse_update(build_update_response(CUSTOMER_NUMBER=number), "UpdateOrCreateParty", "CUSTOMER_NUMBER")


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "done",
        "<oid-list/>done",
        "<additional-data-set/>",
        "<oid-list/><additional-data-set>1234</additional-data-set>",
        "<oid-list/><additional-data-set><additional-data><name>CUSTOMER_NUMBER</name></additional-data>"
        "</additional-data-set>",
        "<oid-list/><data><name>CUSTOMER_NUMBER</name><value>1234</value></data>",
        "<oid-list><oid>1234</oid></oid-list>",
        "<oid-list/><additional-data-set>"
        + "".join(
            f"<additional-data><name>CUSTOMER_NUMBER</name><value>{number}</value></additional-data>"
            for number in (1, 2)
        )
        + "</additional-data-set>",
    ],
)
def test_an_update_response_in_another_shape_is_rejected(inner: str) -> None:
    body = f'<p:WSUpdateResponse xmlns:p="{PARTY}">{inner}</p:WSUpdateResponse>'.encode()
    with pytest.raises(FineosInvalidResponse):
        parse_update(body, "UpdateOrCreateParty", "CUSTOMER_NUMBER")


@pytest.mark.parametrize("code", ["400", "failed"])
def test_a_failure_without_message_is_no_success(code: str) -> None:
    response = build_update_response(SERVICE_RESPONSE_CODE=code, CUSTOMER_NUMBER="1234")
    with pytest.raises(FineosValidationFailed, match="without a message"):
        parse_update(response, "UpdateOrCreateParty", "CUSTOMER_NUMBER")


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
