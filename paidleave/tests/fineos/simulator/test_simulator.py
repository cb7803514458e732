"""The simulator as a server: accepted and rejected requests, stored state, and the files that it reads and writes."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from paidleave.fineos.client.messages import Party, ServiceAgreement
from paidleave.fineos.client.requests import build_party, build_service_agreement
from paidleave.fineos.simulator import composer, feeds
from paidleave.fineos.simulator.faults import Faults
from paidleave.fineos.simulator.store import SimulatorStore
from tests.fineos import vendor_schemas

pytestmark = pytest.mark.sampled(8)

COMPOSER = "integration-services/wscomposer/"
EMPLOYER = "0b0e39b8-6d55-4a34-b7a1-3c1f3e3ef55c"
XML = {"Content-Type": "application/xml; charset=utf-8"}
Post = Callable[..., httpx.Response]
SendUpdate = Callable[..., composer.ComposerResponse]


@pytest.fixture
def post(simulator: Any) -> Post:
    """Return a function that sends an update with a valid token."""
    issued = simulator.http.post(
        "oauth2/token", data={"grant_type": "client_credentials", "scope": "service-gateway/all"}
    )
    token = issued.raise_for_status().json()["access_token"]

    def send(body: bytes, config: str = "UpdateOrCreateParty", **headers: str) -> httpx.Response:
        response: httpx.Response = simulator.http.post(
            f"{COMPOSER}webservice?config={config}&userid=CONTENT",
            content=body,
            headers=XML | {"Authorization": f"Bearer {token}"} | headers,
            auth=None,
        )
        return response

    return send


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SimulatorStore]:
    """A simulator's state without a server."""
    store = SimulatorStore(tmp_path / "fineos.sqlite")
    yield store
    store.close()


@pytest.fixture
def send_update(store: SimulatorStore) -> SendUpdate:
    """Return a function that sends an update to the composer without a server."""

    def send(body: str | bytes, config: str = "UpdateOrCreateParty") -> composer.ComposerResponse:
        return composer.update(store, config, body.encode() if isinstance(body, str) else body, Faults())

    return send


def party(**changes: str) -> bytes:
    """Build a valid request with some texts replaced."""
    body = build_party(Party(EMPLOYER, "123456789", "Widgets Inc", "Widgets")).decode()
    for old, new in changes.items():
        assert f">{old.replace('_', ' ')}<" in body
        body = body.replace(f">{old.replace('_', ' ')}<", f">{new}<")
    return body.encode()


def test_it_starts_immediately_and_stops_on_request(simulator: Any) -> None:
    assert simulator.http.get("health").json() == {"status": "ok"}
    started = time.monotonic()
    assert simulator.stop() == 0
    assert time.monotonic() - started < 5
    assert simulator.errors == ""


def test_the_state_survives_a_kill(simulator: Any, post: Post) -> None:
    assert "CUSTOMER_NUMBER" in post(party()).text
    before = simulator.parties()
    simulator.stop(kill=True)
    simulator.start()
    assert simulator.parties() == before
    assert len(before) == 1


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"grant_type": "password", "scope": "service-gateway/all"}, 400),
        ({"grant_type": "client_credentials", "scope": "everything"}, 400),
        ({}, 400),
    ],
)
def test_the_token_endpoint_rejects_another_grant_or_scope(simulator: Any, form: dict[str, str], status: int) -> None:
    assert simulator.http.post("oauth2/token", data=form).status_code == status


def test_a_token_request_needs_no_scope(simulator: Any) -> None:
    assert simulator.http.post("oauth2/token", data={"grant_type": "client_credentials"}).json()["access_token"]


def test_tokens_and_control_require_the_secret(simulator: Any) -> None:
    form = {"grant_type": "client_credentials", "scope": "service-gateway/all"}
    assert simulator.http.post("oauth2/token", data=form, auth=("test-client", "guess")).status_code == 401
    for path in ("faults", "state", "parties"):
        assert simulator.http.get(f"_simulator/{path}", auth=None).status_code == 401


def test_a_call_requires_a_token_a_user_and_the_content_type(simulator: Any, post: Post) -> None:
    assert post(party(), Authorization="Bearer made-up").status_code == 401
    assert post(party(), **{"Content-Type": "text/xml"}).status_code == 415
    assert post(party(), config="DropEverything").status_code == 404
    assert simulator.http.get(f"{COMPOSER}ReadEmployer?param_str_taxId=123456789").status_code == 401
    assert simulator.parties() == []


BOMB = (
    f"<!DOCTYPE a [<!ENTITY a '{'x' * 100}'><!ENTITY b '{'&a;' * 100}'><!ENTITY c '{'&b;' * 100}'>]>"
    f"<a>{'&c;' * 100}</a>"
)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not well-formed"),
        (b"<a>", "not well-formed"),
        (BOMB.encode(), "document type"),
        (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "document type"),
        (b"<!DOCTYPE a [<!ENTITY % b SYSTEM 'http://127.0.0.1:1/'> %b;]><a/>", "document type"),
        (b"<?xml version='1.0' encoding='UTF-16'?><a/>", "encoding"),
        ("<a>é</a>".encode("latin-1"), "not UTF-8"),
        ("<a/>".encode("utf-16"), "not UTF-8"),
        (b"<?evil do?><a/>", "processing instruction"),
        (b"<a>" * 100 + b"</a>" * 100, "deeper"),
        (b"<a>" + b"<b/>" * 5000 + b"</a>", "more than 2000 elements"),
        (b"<a>&nope;</a>", "not well-formed"),
        (b"<a>\x00</a>", "not well-formed"),
    ],
)
def test_malicious_xml_is_rejected(send_update: SendUpdate, store: SimulatorStore, body: bytes, reason: str) -> None:
    response = send_update(body)
    assert response.status == 400
    assert reason in response.body
    assert store.list_parties() == []


def test_the_server_rejects_an_xml_bomb(simulator: Any, post: Post) -> None:
    assert post(BOMB.encode()).status_code == 400
    assert simulator.http.get("health").status_code == 200


def test_a_huge_request_is_rejected_without_reading_it(post: Post) -> None:
    assert post(b"<a>" + b"x" * 300_000 + b"</a>").status_code == 413


def leaves() -> list[str]:
    """Return the name of every leaf element of the request."""
    return sorted(set(re.findall(r"<([\w-]+)(?:/>|>[^<]*</\1>)", party().decode())))


@pytest.mark.parametrize("name", leaves())
def test_every_element_is_validated(send_update: SendUpdate, name: str) -> None:
    # Each leaf in turn gets an invalid text, is removed, and is duplicated.
    body = party().decode()
    pattern = re.compile(rf"<{name}(?:/>|>[^<]*</{name}>)")
    changed = pattern.sub(f"<{name}>not\u2028allowed{'x' * 300}</{name}>", body, count=1)
    assert changed != body
    response = send_update(changed)
    assert response.status == 422
    assert "allowed" not in response.body
    assert send_update(pattern.sub("", body, count=1)).status == 422
    assert send_update(pattern.sub(lambda found: found[0] * 2, body, count=1)).status == 422


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace("PFML_API", "SOMEBODY", 1),
        lambda body: body.replace("<Disabled>false", "<Disabled>true", 1),
        lambda body: body.replace("3328000", "3328001", 1),
        lambda body: body.replace(">WIDGETS INC<", ">WIDGETS INK<"),
        lambda body: body.replace("123456789", "12345678"),
        lambda body: body.replace(
            "<Position1>0</Position1><Position2>0</Position2>", "<Position2>0</Position2><Position1>0</Position1>", 1
        ),
        lambda body: body.replace("<person/>", "<person/><extra/>"),
        lambda body: body.replace("<config-name>UpdateOrCreateParty", "<config-name>ServiceAgreementService"),
        lambda body: body.replace("wscomposer/UpdateOrCreateParty", "wscomposer/Other"),
        lambda body: body.replace("<update-data>", "<update-data>text"),
        lambda body: body.replace("<update-data>", "<update-data a='b'>"),
        lambda body: body.replace("<Disabled>", "<Disabled a='b'>", 1),
        lambda body: body.replace("<PartyTypeFlag>Employer", "<PartyTypeFlag><b/>Employer"),
    ],
)
def test_a_party_that_violates_the_schema_is_rejected(send_update: SendUpdate, change: Callable[[str], str]) -> None:
    body = party().decode()
    changed = change(body)
    assert changed != body
    assert send_update(body).status == 200
    assert send_update(changed).status == 422


def agreement(number: int, **values: Any) -> bytes:
    return build_service_agreement(number, ServiceAgreement(**values))


def test_a_service_agreement_is_set_and_ended(simulator: Any, post: Post) -> None:
    number = int(re.findall(r"<value>(\d{4})</value>", post(party()).text)[0])
    both = ("MA PFML - Family", "MA PFML - Military Care")
    body = agreement(number, unlink_existing=True, absence_management=True, leave_plans=both)
    assert f"<value>{number}</value>" in post(body, "ServiceAgreementService").text
    ended = agreement(
        number, unlink_existing=False, absence_management=True, leave_plans=both, end_date=date(2022, 6, 30)
    )
    assert f"<value>{number}</value>" in post(ended, "ServiceAgreementService").text
    (known,) = simulator.parties()
    assert known["agreement"] == {
        "managed": True,
        "plans": list(both),
        "start": None,
        "end": "2022-06-30",
        "changes": 2,
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("MA PFML - Employee", "MA PFML - Pets"),
        ("MA PFML - Employee", "MA PFML - Employee, MA PFML - Employee"),
        ("MA PFML - Employee", ""),
        ("2022-01-02", "02/01/2022"),
        ("2022-01-02", "9999-12-31"),
        ("2022-01-02", "2022-02-30"),
        ("True", "true"),
        ("UnlinkAllExistingLeavePlans", "UnlinkSomeExistingLeavePlans"),
        ("1001", "9999"),
        ("1001", "one"),
    ],
)
def test_an_invalid_service_agreement_gets_a_validation_message(send_update: SendUpdate, old: str, new: str) -> None:
    send_update(party().decode())
    body = agreement(
        1001,
        unlink_existing=True,
        absence_management=True,
        leave_plans=("MA PFML - Employee",),
        start_date=date(2022, 1, 2),
    ).decode()
    assert old in body
    assert send_update(body, "ServiceAgreementService").outcome == "done"
    response = send_update(body.replace(old, new), "ServiceAgreementService")
    assert (response.status, response.outcome) == (200, "refused")
    assert "VALIDATION_MESSAGE" in response.body


def test_every_response_is_valid_by_the_vendors_schema(send_update: SendUpdate, store: SimulatorStore) -> None:
    def check(call: str, body: str) -> None:
        assert vendor_schemas.find_errors(f"{call}.Response", body) == []

    for number, name in enumerate(("Smith & Sons <Ltd>", "x" * 100, "ß" * 50, "@nil", "a|b|c", "Ünïcödé 株式会社")):
        customer = EMPLOYER.replace("0b0e39b8", f"0b0e39b{number}")
        check("UpdateOrCreateParty", send_update(build_party(Party(customer, "123456789", name, name))).body)
    kept = {"AccountingDate": "2020-01-01T00:00:00", "PronouncedAs": "", "PartyType": "Group & Co/Party Type/3290009"}
    store.set_vendor_fields(customer, kept)
    found = composer.read_employer(store, "123456789").body
    check("ReadEmployer", found)
    assert found.count("<OCOrganisation>") == 6
    assert found.count("<OrganisationUnit>") == 3
    assert "<OID>PE:00031:" in found
    check("ReadEmployer", composer.read_employer(store, "987654321").body)
    end = {"unlink_existing": False, "leave_plans": ("MA PFML - Family",), "end_date": date(2022, 1, 1)}
    for values in ({"unlink_existing": True, "absence_management": False}, end, {"unlink_existing": False}):
        check("ServiceAgreementService", send_update(agreement(1001, **values), "ServiceAgreementService").body)


@pytest.mark.parametrize("faults", [{"nonsense": 1}, {"unavailable": 2}, {"calls": ["Nope"]}, {"refuse": "all"}])
def test_invalid_faults_are_rejected(simulator: Any, faults: dict[str, Any]) -> None:
    assert simulator.http.put("_simulator/faults", json=faults).status_code == 400


# --- files -----------------------------------------------------------------------------------------------------------

_HEADER = """employeeIdentifier employeeFirstName employeeLastName employeeDateOfBirth employeeJobTitle
employeeDateOfHire employmentStatus employeeHoursWorkedPerWeek employeeTitle employeeSecondName employeeThirdName
employeeDateOfDeath employeeGender employeeMaritalStatus employeeNationalID employeeNationalIDType spouseIdentifier
spouseReasonForChange spouseDateOfChange spouseTitle spouseFirstName spouseSecondName spouseThirdName spouseLastName
spouseDateOfBirth spouseDateOfDeath spouseGender spouseNationalID spouseNationalIDType addressType addressState
addressCity addressAddressLine1 addressZipCode addressEffectiveDate addressCountry addressAddressLine2 addressCounty
telephoneIntCode telephoneAreaCode telephoneNumber cellIntCode cellAreaCode cellNumber employeeEmail employeeId
employeeClassification employeeAdjustedDateOfHire employeeEndDate employmentStrength employmentCategory employmentType
employeeOrgUnitName employeeCBACode keyEmployee employeeWorkAtHome employeeDaysWorkedPerWeek
employeeHoursWorkedPerYear employee50EmployeesWithin75Miles employmentWorkState managerIdentifier occupationQualifier
employeeWorkSiteId employeeEffectiveFromDate employeeEffectiveToDate employeeSalary employeeEarningFrequency"""
HEADER = _HEADER.split()

EMPLOYEE = {
    "employeeIdentifier": "5a3e4c4e-95ab-4b55-9d6c-0bb8f8f3a0f1",
    "employeeFirstName": "Zoë",
    "employeeLastName": 'O"Hara, Jr',
    "employeeDateOfBirth": "02/29/1980",
    "employeeJobTitle": "DEFAULT",
    "employeeDateOfHire": "01/01/2020",
    "employmentStatus": "Active",
    "employeeHoursWorkedPerWeek": "0.00",
    "employeeNationalID": "250000001",
    "employeeNationalIDType": "Social Security Number",
    "telephoneIntCode": "1",
    "telephoneAreaCode": "617",
    "telephoneNumber": "5550100",
    "employmentWorkState": "MA",
}


def feed(*rows: dict[str, str], employer: int = 1001, count: int | None = None, header: list[str] = HEADER) -> bytes:
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(header)
    writer.writerows([row.get(name, "") for name in HEADER] for row in rows)
    number = len(rows) if count is None else count
    return f"EMPLOYER_ID:{employer}\nNUMBER_OF_RECORDS:{number}\n@DATABLOCK\n{table.getvalue()}".encode()


def import_feed(
    simulator: Any, content: bytes, name: str = "20220103T010203_1001.csv", bundle: str = ""
) -> dict[str, Any]:
    folder = simulator.folder / "import" / f"absence-eligibility{bundle}" / "upload"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    (imported,) = simulator.http.post("_simulator/feeds").raise_for_status().json()
    assert list(folder.iterdir()) == []
    return dict(imported)


def export_updates(simulator: Any) -> tuple[str, list[dict[str, str]]]:
    simulator.http.post("_simulator/updates").raise_for_status()
    (file,) = (simulator.folder / "export").iterdir()
    with Path(file).open(newline="", encoding="utf-8") as stream:
        return file.name, list(csv.DictReader(stream))


def test_an_imported_feed_file_is_exported_as_employee_updates(simulator: Any, post: Post) -> None:
    post(party())
    assert import_feed(simulator, feed(EMPLOYEE), bundle="2")["reason"] is None
    assert (simulator.folder / "import/absence-eligibility2/processed/20220103T010203_1001.csv").exists()
    name, (row,) = export_updates(simulator)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-EmployeeDataLoad_feed\.csv", name)
    assert len(row) == 30
    assert all(column == column.upper() for column in row)
    assert row["EMPLOYEEIDENTIFIER"] == EMPLOYEE["employeeIdentifier"]
    assert (row["EMPLOYEEFIRSTNAME"], row["EMPLOYEELASTNAME"]) == ("Zoë", 'O"Hara, Jr')
    assert row["EMPLOYEEDATEOFBIRTH"] == "1980-02-29 00:00:00"
    assert row["EMPLOYEEHOURSWORKEDPERWEEK"] == row["EMPLOYEEDAYSWORKEDPERWEEK"] == "0"
    assert (row["TELEPHONEINTCODE"], row["TELEPHONEAREACODE"], row["TELEPHONENUMBER"]) == ("1", "617", "5550100")
    assert (row["ORG_CUSTOMERNO"], row["ORG_NAME"]) == ("1001", "Widgets Inc")
    assert int(row["CUSTOMERNO"]) > 0
    (file,) = (simulator.folder / "export").iterdir()
    assert all(line.startswith('"') and line.endswith('"') for line in file.read_text().splitlines())


def test_the_next_file_replaces_the_last_one_and_contains_only_new_records(simulator: Any, post: Post) -> None:
    post(party())
    import_feed(simulator, feed(EMPLOYEE))
    first, _ = export_updates(simulator)
    assert simulator.http.post("_simulator/updates").json() == {"file": None}
    other = EMPLOYEE | {"employeeIdentifier": str(uuid4()), "employeeNationalID": "250000002"}
    import_feed(simulator, feed(EMPLOYEE | {"employeeJobTitle": "Clerk"}, other))
    second, rows = export_updates(simulator)
    assert second > first
    assert {UUID(row["EMPLOYEEIDENTIFIER"]) for row in rows} == {
        UUID(EMPLOYEE["employeeIdentifier"]),
        UUID(other["employeeIdentifier"]),
    }
    assert simulator.state()["people"] == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (feed(EMPLOYEE, count=2), "NUMBER_OF_RECORDS is 2, but the file has 1 records"),
        (feed(EMPLOYEE, employer=1002), "EMPLOYER_ID differs from the file's name"),
        (feed(EMPLOYEE, header=[*HEADER[1:], HEADER[0]]), "line 4 is not the header"),
        (feed(EMPLOYEE)[:-2], "the last line does not end with CRLF"),
        (feed(EMPLOYEE).replace(b"@DATABLOCK", b"DATABLOCK"), "line 3"),
        (feed(EMPLOYEE).replace(b",MA,", b","), "has 66 columns"),
        (feed(EMPLOYEE, EMPLOYEE), "line 6: duplicate employee"),
        (feed(EMPLOYEE | {"employeeDateOfBirth": "1980-02-29"}), "line 5: employeeDateOfBirth"),
        (feed(EMPLOYEE | {"employeeIdentifier": "1"}), "line 5: employeeIdentifier"),
        (feed(EMPLOYEE | {"employeeNationalID": "912345678"}), "line 5: employeeNationalIDType"),
        (feed(EMPLOYEE | {"employeeSalary": "1"}), "line 5: employeeSalary"),
        (feed(EMPLOYEE | {"employmentWorkState": ""}), "line 5: employmentWorkState"),
        (feed(EMPLOYEE).replace("Zoë".encode(), b"Zo\xeb"), "not UTF-8"),
        (b"", "the preamble is incomplete"),
    ],
)
def test_a_malformed_feed_file_is_rejected_with_a_reason(
    send_update: SendUpdate, store: SimulatorStore, tmp_path: Path, content: bytes, reason: str
) -> None:
    send_update(party())
    folder = tmp_path / "absence-eligibility"
    (folder / "upload").mkdir(parents=True)
    (folder / "upload" / "20220103T010203_1001.csv").write_bytes(content)
    (imported,) = feeds.import_files(store.file, tmp_path)
    assert reason in str(imported.reason)
    assert (folder / "errors" / "20220103T010203_1001.csv").read_bytes() == content
    written = (folder / "errors" / "20220103T010203_1001.csv.reason.txt").read_text()
    assert reason in written
    assert "250000001" not in written
    counts = store.count_all()
    assert counts["people"] == 0
    assert counts["feeds"] == {"accepted": 0, "refused": 1}


def test_feed_files_are_imported_automatically_with_an_interval(simulator: Any, post: Post) -> None:
    post(party())
    simulator.stop()
    simulator.start("--intake-interval", "0.05")
    folder = simulator.folder / "import/absence-eligibility/upload"
    folder.mkdir(parents=True)
    (folder / ".20220103T010203_1001.csv.half").write_bytes(b"a file that is being written")
    (folder / "20220103T010203_1001.csv").write_bytes(feed(EMPLOYEE))
    while not (files := [file for file in (simulator.folder / "export").iterdir() if file.name[0] != "."]):
        time.sleep(0.02)
    assert files[0].name.endswith("-EmployeeDataLoad_feed.csv")
    assert [file.name for file in folder.iterdir()] == [".20220103T010203_1001.csv.half"]


def test_the_feed_file_of_an_unknown_employer_is_rejected(simulator: Any) -> None:
    assert import_feed(simulator, feed(EMPLOYEE))["reason"] == "EMPLOYER_ID is not a known employer"


def test_a_file_with_an_invalid_name_is_rejected(simulator: Any) -> None:
    assert "name" in import_feed(simulator, feed(EMPLOYEE), name="notes.txt")["reason"]
