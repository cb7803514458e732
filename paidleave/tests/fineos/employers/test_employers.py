"""``load-employers-to-fineos`` with a real database and a real server."""

from __future__ import annotations

import signal
import time
from typing import Any
from uuid import UUID

import psutil
import pytest

from tests.fineos import vendor_schemas

pytestmark = pytest.mark.sampled(8)

ALL = ["MA PFML - Employee", "MA PFML - Family", "MA PFML - Military Care"]


def test_a_new_employer_gets_a_party_an_agreement_and_its_number(employers: Any, simulator: Any) -> None:
    employer = employers.add("Smith & Sons", "Smith's")
    report = employers.load()
    (party,) = simulator.parties()
    assert (party["customer"], party["name"], party["dba"]) == (str(employer), "Smith & Sons", "Smith's")
    assert party["agreement"] == {"managed": True, "plans": ALL, "start": None, "end": None, "changes": 1}
    assert employers.query("SELECT fineos_employer_id FROM employer") == [(party["number"],)]
    assert employers.queue() == 0
    assert report["status"] == "success"
    assert report["loaded_employers_count"] == report["total_employers_count"] == 1
    assert report["updated_service_agreements_count"] == 1
    assert employers.query("SELECT source, import_type FROM import_log") == [("Employer load", "updates")]


def test_an_insert_row_is_recognized_in_any_order_of_rows(employers: Any, simulator: Any) -> None:
    employer = employers.add(action=None, family=True)
    employers.push(employer, "UPDATE", modified_at="2021-01-01")
    employers.push(employer, "INSERT", modified_at="2021-01-02")
    employers.push(employer, "UPDATE", family=True, medical=False, modified_at="2021-01-03")
    employers.load()
    assert simulator.parties()[0]["agreement"]["plans"] == ["MA PFML - Employee"]
    assert employers.queue() == 0


def add_known_employer(employers: Any, **values: Any) -> UUID:
    """Add an employer that is at FINEOS with a service agreement, and leave the queue empty."""
    employer: UUID = employers.add(**values)
    employers.load()
    return employer


def test_the_oldest_update_row_has_the_state_at_fineos(employers: Any, simulator: Any) -> None:
    employer = add_known_employer(employers, family=True, medical=True)
    employers.query("UPDATE employer SET family_exemption = false, medical_exemption = false")
    employers.push(employer, family=True, medical=False, cease="2022-01-01", modified_at="2022-01-02")
    employers.push(employer, family=True, medical=True, cease="2021-12-31", modified_at="2022-01-01")
    employers.load()
    agreement = simulator.parties()[0]["agreement"]
    assert agreement == {"managed": True, "plans": ALL, "start": "2022-01-01", "end": None, "changes": 2}


def test_the_end_of_an_unlimited_exemption_does_not_overflow_a_date(employers: Any, simulator: Any) -> None:
    employer = add_known_employer(employers, family=True, medical=True)
    employers.query("UPDATE employer SET family_exemption = false")
    employers.push(employer, family=True, medical=True, cease="9999-12-31")
    employers.load()
    assert simulator.parties()[0]["agreement"]["plans"] == ["MA PFML - Family", "MA PFML - Military Care"]
    assert simulator.parties()[0]["agreement"]["start"] is None


def test_a_partial_exemption_reaches_fineos(employers: Any, simulator: Any) -> None:
    employer = add_known_employer(employers)
    employers.query("UPDATE employer SET medical_exemption = true, exemption_commence_date = '2022-07-01'")
    employers.push(employer, family=False, medical=False, cease="9999-12-31")
    employers.load()
    agreement = simulator.parties()[0]["agreement"]
    assert agreement["plans"] == ["MA PFML - Family", "MA PFML - Military Care"]
    assert agreement["start"] == "2022-07-01"


def test_a_full_exemption_ends_the_plans(employers: Any, simulator: Any) -> None:
    employer = add_known_employer(employers)
    employers.query(
        "UPDATE employer SET family_exemption = true, medical_exemption = true, exemption_commence_date = '2022-07-01'"
    )
    employers.push(employer, family=False, medical=False)
    employers.load()
    agreement = simulator.parties()[0]["agreement"]
    assert (agreement["managed"], agreement["plans"], agreement["end"]) == (True, ALL, "2022-06-30")


def test_a_full_exemption_without_commence_date_fails_but_the_party_is_updated(employers: Any, simulator: Any) -> None:
    employer = add_known_employer(employers)
    employers.query("UPDATE employer SET family_exemption = true, medical_exemption = true, employer_name = 'New'")
    employers.push(employer, family=False, medical=False)
    report = employers.load(code=1)
    assert report["errors"] == {
        "MissingCommenceDate: the employer became fully exempt, but the commence date is unknown": 1
    }
    assert simulator.parties()[0]["name"] == "New"
    assert simulator.parties()[0]["agreement"]["changes"] == 1


def test_unknown_flags_after_a_full_exemption_fail_and_the_row_remains(employers: Any, simulator: Any) -> None:
    employer = add_known_employer(employers)
    employers.query("UPDATE employer SET family_exemption = NULL, medical_exemption = NULL, employer_name = 'New'")
    employers.push(employer, family=True, medical=True)
    report = employers.load(code=1)
    assert report["errors"] == {"UnknownExemption: the exemption changed, but a current exemption flag is unknown": 1}
    assert employers.queue() == 1
    assert simulator.parties()[0]["name"] == "New"
    assert simulator.parties()[0]["agreement"]["changes"] == 1
    employers.query("UPDATE employer SET family_exemption = false, medical_exemption = false")
    employers.push(employer)
    employers.load()
    assert employers.queue() == 0
    assert simulator.parties()[0]["agreement"]["changes"] == 2


def test_an_update_preserves_fields_that_only_fineos_has(employers: Any, simulator: Any) -> None:
    employer = add_known_employer(employers)
    kept = {"PronouncedAs": "wee-jets", "GroupClient": "true", "FinancialYearEnd": "1999-06-30T00:00:00"}
    simulator.http.patch("_simulator/parties", json={"customer": str(employer), "kept": kept}).raise_for_status()
    employers.query("UPDATE employer SET employer_name = 'Gadgets'")
    employers.push(employer)
    employers.load()
    (party,) = simulator.parties()
    assert party["name"] == "Gadgets"
    assert {name: party["kept"][name] for name in kept} == kept
    assert party["kept"]["AccountingDate"] == ""  # FINEOS has no date, and the update sends none.


def test_an_unrecognized_response_is_not_an_unknown_employer(employers: Any, simulator: Any) -> None:
    """Nothing is sent, because an update without the vendor's fields would reset them."""
    employer = add_known_employer(employers)
    before = simulator.state()["calls"]
    root = '<p:ReadEmployerResponse xmlns:p="http://www.fineos.com/wscomposer/ReadEmployer">{}</p:ReadEmployerResponse>'
    other_employer = vendor_schemas.build_organization({"CorporateTaxNumber": "999999999"})
    for body in (
        "<html>maintenance</html>",
        root.format("Try later"),
        root.format("<Error/>"),
        root.format(other_employer),
    ):
        simulator.faults(replaced={"ReadEmployer": body})
        employers.push(employer)
        report = employers.load(code=1, EMPLOYER_LOAD_ATTEMPT_LIMIT=100)
        assert report["errors"] == {"FineosInvalidResponse ReadEmployer 200": 1}
    after = simulator.state()["calls"]
    assert after.pop("ReadEmployer") == {"replaced": 4}
    assert after == before


def test_names_longer_than_fineos_accepts_are_cut_and_counted(employers: Any, simulator: Any) -> None:
    employers.add("Smith & " + "x" * 92 + " Sons", "ß" * 255)
    employers.add("x" * 100, "y")
    report = employers.load()
    assert report["cut_names_count"] == 1
    names = {(party["name"], party["dba"]) for party in simulator.parties()}
    assert names == {("Smith & " + "x" * 92, "ß" * 50), ("x" * 100, "y")}


@pytest.mark.parametrize(
    "name",
    [
        "<a>&amp;</a>]]>",
        "\x01ctrl\x1fs",
        "Ünïcödé 株式会社 🏢",
        "‮right to left",
        "\ufffeX",
        "'; DROP TABLE employer; --",
        "ß" * 9,
    ],
)
def test_names_with_special_characters_are_loaded(employers: Any, simulator: Any, name: str) -> None:
    employers.add(name, name)
    employers.load()
    (party,) = simulator.parties()
    expected = "".join(c if ord(c) >= 32 and c != "\ufffe" else " " for c in name).strip()
    assert (party["name"], party["dba"]) == (expected, expected)


@pytest.mark.parametrize("dba", [None, "", "   "])
def test_an_employer_without_dba_is_loaded_under_its_name(employers: Any, simulator: Any, dba: str | None) -> None:
    employers.add("Widgets", dba)
    employers.load()
    assert simulator.parties()[0]["dba"] == "Widgets"


def test_unusable_rows_are_removed(employers: Any, simulator: Any) -> None:
    employers.push(UUID(int=7), "UPDATE")
    employers.push(None, "INSERT")
    employer = employers.add(action="DELETE")
    report = employers.load()
    assert report["removed_queue_rows"] == {"deletions": 1, "without_employer": 2}
    assert employers.queue() == 0
    assert simulator.parties() == []
    assert employers.query("SELECT employer_id FROM employer") == [(employer,)]


def test_rows_left_by_the_old_system_are_loaded(employers: Any, simulator: Any) -> None:
    employer = employers.add(action=None)
    employers.push(employer, "INSERT", process_id=3)
    employers.push(employer, "UPDATE")
    employers.load()
    assert len(simulator.parties()) == 1
    assert employers.queue() == 0


def test_the_number_is_stored_when_the_agreement_fails(employers: Any, simulator: Any) -> None:
    employers.add()
    simulator.faults(refuse_agreement={"100000000": "invalid 100000000"})
    report = employers.load(code=1)
    (party,) = simulator.parties()
    assert employers.query("SELECT fineos_employer_id FROM employer") == [(party["number"],)]
    assert report["errors"] == {"FineosValidationFailed ServiceAgreementService 200": 1}
    assert employers.query(
        "SELECT attempts, claimed_by, process_id, last_error FROM employer_push_to_fineos_queue"
    ) == [(1, None, None, "FineosValidationFailed ServiceAgreementService 200")]
    simulator.faults()
    employers.load()
    assert employers.queue() == 0
    assert len(simulator.parties()) == 1


def test_a_number_different_from_the_stored_one_is_an_error(employers: Any, simulator: Any) -> None:
    employers.add(number=77)
    report = employers.load(code=1)
    assert report["errors"] == {
        "NotLoadable: FINEOS updated an employer with a different number than in the database": 1
    }
    assert employers.query("SELECT fineos_employer_id FROM employer") == [(77,)]
    report = employers.load(code=1)
    assert report["errors"] == {"NotLoadable: FINEOS has a different number for the employer than the database": 1}


def test_the_number_of_another_employer_is_an_error(employers: Any, simulator: Any) -> None:
    other = employers.add(number=1001, action=None)
    employer = employers.add()
    report = employers.load(code=1)
    assert report["errors"] == {"NotLoadable: FINEOS returned the number of another employer": 1}
    assert dict(employers.query("SELECT employer_id, fineos_employer_id FROM employer")) == {
        other: 1001,
        employer: None,
    }
    assert simulator.parties()[0]["agreement"] is None


def test_a_few_failures_do_not_fail_the_job_but_many_do(employers: Any, simulator: Any) -> None:
    employers.add_many(40)
    simulator.faults(refuse={"100000001": "invalid", "100000002": "invalid"})
    report = employers.load()
    assert report["errored_employers_count"] == 2
    assert report["loaded_employers_count"] == 38
    assert employers.queue() == 2
    failed = employers.load(code=1)
    assert failed["errored_employers_count"] == 2
    (error,) = failed["errors"]
    assert f"The most frequent error: {error} (2 times). See" in failed["message"]
    employers.load(EMPLOYER_LOAD_FAILED_SHARE_LIMIT="1")


def test_an_employer_that_fails_repeatedly_is_parked_until_dor_changes_it(employers: Any, simulator: Any) -> None:
    employer = employers.add(" ")
    for attempt in (1, 2):
        employers.load(code=1, EMPLOYER_LOAD_ATTEMPT_LIMIT=2)
        assert employers.query("SELECT attempts FROM employer_push_to_fineos_queue") == [(attempt,)]
    # The employer was parked today. It is not retried, but the job still fails.
    report = employers.load(code=1, EMPLOYER_LOAD_ATTEMPT_LIMIT=2)
    assert (report["total_employers_count"], report["parked_employers_count"]) == (0, 1)
    # A day later, the employer is retried once. An earlier run reported its failure.
    employers.query("UPDATE employer_push_to_fineos_queue SET lease_expires_at = now() - interval '21 hours'")
    report = employers.load(EMPLOYER_LOAD_ATTEMPT_LIMIT=2)
    assert (report["errored_employers_count"], report["parked_employers_count"]) == (1, 1)
    assert employers.load(EMPLOYER_LOAD_ATTEMPT_LIMIT=2)["total_employers_count"] == 0
    # DOR sent a name, so the employer is retried immediately.
    employers.query("UPDATE employer SET employer_name = 'Widgets'")
    employers.push(employer)
    assert employers.load(EMPLOYER_LOAD_ATTEMPT_LIMIT=2)["loaded_employers_count"] == 1
    assert employers.queue() == 0


def test_an_outage_of_fineos_fails_the_job_and_counts_no_attempt(employers: Any, simulator: Any) -> None:
    employers.add_many(60)
    simulator.faults(unavailable=1)
    report = employers.load(code=1, FINEOS_CLIENT_ATTEMPTS="1", EMPLOYER_LOAD_CONCURRENCY="4")
    assert report["status"] == "error"
    assert 8 <= report["errored_employers_count"] < 60
    assert employers.query("SELECT DISTINCT attempts, claimed_by FROM employer_push_to_fineos_queue") == [(0, None)]
    simulator.faults()
    assert employers.load()["loaded_employers_count"] == 60


def test_wrong_credentials_leave_the_queue_unchanged(employers: Any, simulator: Any) -> None:
    employers.add()
    employers.load(code=1, FINEOS_CLIENT_OAUTH2_CLIENT_SECRET="wrong")
    assert employers.query("SELECT attempts, claimed_by FROM employer_push_to_fineos_queue") == [(0, None)]


def test_a_missing_address_is_a_settings_error(employers: Any) -> None:
    employers.environment["FINEOS_CLIENT_WSCOMPOSER_API_URL"] = ""
    assert employers.start().wait(30) == 2
    assert "FINEOS_CLIENT_WSCOMPOSER_API_URL" in employers.output()


def test_the_employer_limit_is_respected(employers: Any, simulator: Any) -> None:
    employers.add_many(30)
    report = employers.load(EMPLOYER_UPDATE_LIMIT="7")
    assert report["loaded_employers_count"] == 7
    assert employers.queue() == 23
    assert employers.query("SELECT count(*) FROM employer_push_to_fineos_queue WHERE claimed_by IS NOT NULL") == [(0,)]


def test_only_new_loads_employers_without_number_and_leaves_the_queue_unchanged(employers: Any, simulator: Any) -> None:
    employers.add_many(20)
    employers.add(number=5)
    report = employers.load(EMPLOYER_LOAD_MODE="only_new")
    assert report["loaded_employers_count"] == 20
    assert employers.queue() == 21
    assert len(simulator.parties()) == 20
    assert all(party["agreement"] is None for party in simulator.parties())
    assert employers.query("SELECT count(*) FROM employer WHERE fineos_employer_id IS NULL") == [(0,)]
    assert employers.query("SELECT import_type FROM import_log") == [("only_new",)]


@pytest.mark.parametrize("mode", ["updates", "only_new"])
def test_several_loaders_share_the_work(employers: Any, simulator: Any, mode: str) -> None:
    employers.add_many(120)
    simulator.faults(latency_ms=20)
    loaders = [employers.start(f"--process-id={n}", EMPLOYER_LOAD_MODE=mode) for n in (1, 2, 3)]
    assert [loader.wait(60) for loader in loaders] == [0, 0, 0], employers.output()
    loaded = [report["loaded_employers_count"] for report in employers.reports()]
    assert sum(loaded) == 120
    assert [party["updates"] for party in simulator.parties()] == [0] * 120
    if mode == "updates":
        assert employers.queue() == 0
        assert all(party["agreement"]["changes"] == 1 for party in simulator.parties())


def test_rows_added_while_an_employer_is_loaded_remain(employers: Any, simulator: Any) -> None:
    employer = employers.add()
    simulator.faults(latency_ms=600)
    loader = employers.start(EMPLOYER_UPDATE_LIMIT="1")
    while not employers.query("SELECT 1 FROM employer_push_to_fineos_queue WHERE claimed_by IS NOT NULL"):
        time.sleep(0.02)
    row = employers.push(employer, family=False, medical=False)
    assert loader.wait(30) == 0
    assert employers.query("SELECT employer_push_to_fineos_queue_id FROM employer_push_to_fineos_queue") == [(row,)]


def test_a_stopped_loader_releases_its_claims(employers: Any, simulator: Any) -> None:
    employers.add_many(50)
    simulator.faults(latency_ms=500)
    loader = employers.start()
    while not employers.query("SELECT 1 FROM employer_push_to_fineos_queue WHERE claimed_by IS NOT NULL"):
        time.sleep(0.02)
    loader.send_signal(signal.SIGTERM)
    assert loader.wait(20) == 143, employers.output()
    assert employers.query("SELECT DISTINCT claimed_by, process_id, attempts FROM employer_push_to_fineos_queue") == [
        (None, None, 0)
    ]
    simulator.faults()
    employers.load()
    assert len(simulator.parties()) == 50
    assert employers.queue() == 0


def test_a_hanging_loader_loses_its_claims_when_the_lease_expires(employers: Any, simulator: Any) -> None:
    employers.add_many(5)
    simulator.faults(latency_ms=1500)
    hanging = employers.start(EMPLOYER_LOAD_LEASE_SECONDS="1")
    while not employers.query("SELECT 1 FROM employer_push_to_fineos_queue WHERE claimed_by IS NOT NULL"):
        time.sleep(0.02)
    job = psutil.Process(hanging.pid).children()[0]  # the process itself is its supervisor
    job.suspend()
    simulator.faults()
    while employers.query("SELECT 1 FROM employer_push_to_fineos_queue WHERE lease_expires_at > now()"):
        time.sleep(0.02)
    try:
        assert employers.load()["loaded_employers_count"] == 5
    finally:
        job.resume()
    assert hanging.wait(30) in (0, 1)
    assert employers.queue() == 0
    assert len(simulator.parties()) == 5
    assert employers.query("SELECT count(*) FROM employer WHERE fineos_employer_id IS NOT NULL") == [(5,)]


def test_output_contains_no_personal_data(employers: Any, simulator: Any) -> None:
    employers.add("Unmistakable Widgets", "Unmistakable")
    employers.add("Unmistakable Gadgets", "Unmistakable")
    simulator.faults(refuse={"100000000": "Unmistakable Widgets (100000000) is invalid"})
    assert employers.start("--process-id=2").wait(60) == 1
    stored = str(
        employers.query("SELECT report FROM import_log")
        + employers.query("SELECT last_error FROM employer_push_to_fineos_queue")
    )
    for text in (employers.output(), stored, simulator.errors):
        assert "Unmistakable" not in text
        assert "10000000" not in text
        assert "secret-not-for-logs" not in text
    assert '"event": "FineosError"' in employers.output()
