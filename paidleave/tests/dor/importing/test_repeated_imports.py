"""Files that are imported again or too late, and replays of rejected lines."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from nightferry import NightferryError, Run
from nightferry.job.runtime import Runtime
from paidleave.dor import encryption
from tests.dor.importing.test_importer_failures import encrypt, locked, secrets, wait_for_exit, wait_for_waiter
from tests.dor.imports import DAILY, EXEMPT, RESPONSE, DorWorld, contents, run_in_process, start
from tests.dor.lines import csv_row, employer_line, quarter_line, response_a, response_b, returning_csv, wage_line

pytestmark = pytest.mark.sampled(8)

EMPLOYERS = "DORDFMLEMP_20200519000000"
EARLY, MIDDLE, LATE = (f"DORDFML_202005{day}000000" for day in (19, 20, 21))
OTHER = ("100000002", "44100000002")
WAGES = b"\n".join([quarter_line(), wage_line(), quarter_line(OTHER[1]), wage_line("250000002", OTHER[1]), b"X", b""])
LIMIT = {"REJECTED_SHARE_LIMIT": "1"}


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    world = DorWorld(database, tmp_path / "dor")
    world.put(EMPLOYERS, employer_line())
    assert run_in_process(world) == 0
    return world


def import_file(world: DorWorld, name: str, content: bytes, **settings: str) -> dict[str, Any]:
    world.put(name, content)
    assert run_in_process(world, **(LIMIT | settings)) == 0
    assert not list(world.received.iterdir())
    return world.reports()[-1]


def replay(world: DorWorld, name: str, **settings: str) -> dict[str, Any]:
    assert run_in_process(world, REPLAY=name, **settings) == 0
    return world.reports()[-1]


def add_other_employer(world: DorWorld) -> None:
    import_file(world, "DORDFMLEMP_20200520000000", employer_line(*OTHER))


def wages(world: DorWorld) -> dict[tuple[str, str], str]:
    return {(row[0], row[1]): str(row[7]) for row in contents(world)["wages"]}


def run_and_fail(world: DorWorld, **settings: str) -> str:
    values = {name.lower(): value for name, value in world.environment(**settings).items()}
    with pytest.raises(NightferryError) as failed:
        DAILY.body(DAILY.settings.model_validate(values), Run(Runtime.read(DAILY.name)))
    return str(failed.value)


class TestFilesThatArriveAgain:
    def test_file_with_rejected_lines_is_imported_again_when_their_cause_is_gone(self, world: DorWorld) -> None:
        first = import_file(world, MIDDLE, WAGES)
        assert first["skipped_wages_count"] == first["skipped_employer_quarterly_contribution"] == 1
        add_other_employer(world)
        again = import_file(world, MIDDLE, WAGES)
        assert again["reimported_files_count"] == 1
        assert again["created_wages_and_contributions_count"] == 1
        assert again["unmodified_wages_and_contributions_count"] == 1
        assert wages(world) == {("250000001", "100000001"): "5000.00", ("250000002", OTHER[0]): "5000.00"}
        assert world.query("SELECT reason FROM dor_rejected_line WHERE superseded_by IS NULL ORDER BY line_number") == [
            ("unknown record letter",)
        ]
        assert (world.dor / "processed" / MIDDLE).read_bytes() == WAGES
        assert (world.dor / "rejected" / f"{MIDDLE}.2.rej").read_bytes() == b"X\n"
        before = contents(world)
        assert import_file(world, MIDDLE, WAGES)["created_wages_and_contributions_count"] == 0
        assert {k: v for k, v in contents(world).items() if k != "rejects"} == {
            k: v for k, v in before.items() if k != "rejects"
        }

    def test_file_without_rejected_lines_is_skipped_with_the_date_and_run(self, world: DorWorld) -> None:
        content = quarter_line() + b"\n" + wage_line()
        import_file(world, MIDDLE, content)
        (date, run_id), *_ = world.query(
            "SELECT imported_at::date::text, run_id FROM dor_imported_file WHERE name = %s", MIDDLE
        )
        report = import_file(world, MIDDLE, content)
        assert report["already_imported_count"] == 1
        assert report["message"] == f"already imported on {date} by run {run_id}"
        world.execute("UPDATE dor_imported_file SET run_id = NULL")
        assert "by the run with import_log_id" in import_file(world, MIDDLE, content)["message"]

    def test_log_says_which_import_was_earlier_or_newer(
        self, world: DorWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The redaction shows only texts and numbers among the arguments of a message."""
        import_file(world, MIDDLE, quarter_line() + b"\n")
        import_file(world, LATE, quarter_line() + b"\n" + wage_line())
        world.put(EARLY, wage_line())
        world.put(MIDDLE, quarter_line() + b"\n")
        caplog.set_level("INFO")
        run_and_fail(world)
        shown = [record for record in caplog.records if all(isinstance(each, str | int) for each in record.args or ())]
        messages = "\n".join(record.getMessage() for record in shown)
        assert re.search("the file was already imported on .* by run", messages)
        assert f"{EARLY} was not imported and remains in place: it is older than {LATE}" in messages

    def test_content_of_another_kind_is_not_known(self, world: DorWorld) -> None:
        content = response_a("100000001") + b"\n" + response_b() + b"\n"
        world.put("CompaniesReturningToStatePlan.csv", returning_csv(csv_row("100000001")))
        world.put("DORDUADFML_20200519000000", content)
        assert run_in_process(world, EXEMPT) == 0
        world.put("DORDUADFML_SUBMISSION_20200519000000", content)
        assert run_in_process(world, RESPONSE) == 0
        assert "already_imported_count" not in world.reports()[-1]
        assert world.reports()[-1]["updated_employers_count"] == 1

    def test_file_that_was_not_moved_has_not_arrived_again(self, world: DorWorld) -> None:
        world.put(MIDDLE, WAGES)
        for _ in range(3):
            assert run_in_process(world, RETAIN_RECEIVED_FILES="true", **LIMIT) == 0
        assert [report.get("already_imported_count") for report in world.reports()[-3:]] == [None, 1, 1]
        assert len(contents(world)["rejects"]) == 3

    def test_file_that_is_moved_back_has_arrived_again(self, world: DorWorld) -> None:
        import_file(world, MIDDLE, WAGES)
        add_other_employer(world)
        shutil.move(world.dor / "processed" / MIDDLE, world.received / MIDDLE)
        os.utime(world.received / MIDDLE)
        assert run_in_process(world, **LIMIT) == 0
        assert len(wages(world)) == 2

    def test_operator_forces_an_import(self, world: DorWorld) -> None:
        content = quarter_line() + b"\n" + wage_line()
        import_file(world, MIDDLE, content)
        world.execute("UPDATE wages_and_contributions SET employee_qtr_wages = 1")
        report = import_file(world, MIDDLE, content, REIMPORT=MIDDLE)
        assert report["updated_wages_and_contributions_count"] == 1
        assert wages(world) == {("250000001", "100000001"): "5000.00"}

    def test_unknown_name_to_force_is_an_error(self, world: DorWorld) -> None:
        world.put(MIDDLE, WAGES)
        assert f"REIMPORT={LATE} is not a file of this job in" in run_and_fail(world, REIMPORT=LATE, **LIMIT)
        assert (world.received / MIDDLE).exists()

    def test_response_is_imported_again_without_another_queue_row(self, world: DorWorld) -> None:
        world.put("CompaniesReturningToStatePlan.csv", returning_csv(csv_row("100000001"), csv_row("100000003")))
        name = "DORDUADFML_SUBMISSION_20200519000000"
        lines = [response_a("100000001"), response_b(), response_a("100000003"), response_b("250000002"), b"X", b""]
        for expected in ((1, 1, 0), (0, 0, 2)):
            world.put(name, b"\n".join(lines))
            csv = world.csvs.parent / "processed" / "CompaniesReturningToStatePlan.csv"
            if csv.exists():
                shutil.move(csv, world.csvs / csv.name)
            assert run_in_process(world, RESPONSE, **LIMIT) == 0
            report = world.reports()[-1]
            outcomes = ("created", "updated", "unmodified")
            assert tuple(report[f"{outcome}_employers_count"] for outcome in outcomes) == expected
        assert sum(contents(world)["employer_queue"].values()) == 3


class TestOrder:
    def test_older_file_is_refused_and_blocks_no_other(self, world: DorWorld) -> None:
        import_file(world, MIDDLE, wage_line(quarter="2.00"))
        path = world.put(EARLY, wage_line(quarter="1.00"))
        world.put(LATE, wage_line(quarter="3.00"))
        message = run_and_fail(world)
        for words in (EARLY, MIDDLE, f"REIMPORT={EARLY}", "ALLOW_OLDER_FILES=true", "remains in place"):
            assert words in message
        assert path.exists()
        assert wages(world) == {("250000001", "100000001"): "3.00"}
        assert [report["status"] for report in world.reports()[-2:]] == ["error", "success"]
        assert contents(world)["rejects"] == []

    def test_setting_permits_an_older_file(self, world: DorWorld) -> None:
        import_file(world, LATE, wage_line(quarter="3.00"))
        import_file(world, EARLY, wage_line(quarter="1.00"), ALLOW_OLDER_FILES="true")
        assert wages(world) == {("250000001", "100000001"): "1.00"}
        assert sum(contents(world)["history"].values()) == 1

    @pytest.mark.parametrize("known", [True, False], ids=["imported before", "never imported"])
    def test_repeated_file_overwrites_no_value_of_a_later_file(self, world: DorWorld, known: bool) -> None:
        early = b"\n".join(
            [
                *(quarter_line(total="1.00"), wage_line(quarter="1.00", last="Old")),
                *(quarter_line(OTHER[1]), wage_line("250000001", OTHER[1], quarter="1.00", last="Old")),
            ]
        )
        if known:
            import_file(world, EARLY, early)
        import_file(world, LATE, quarter_line(total="3.00") + b"\n" + wage_line(quarter="3.00", last="New"))
        add_other_employer(world)
        import_file(world, EARLY, early, **({} if known else {"REIMPORT": EARLY}))
        assert wages(world) == {("250000001", "100000001"): "3.00", ("250000001", OTHER[0]): "1.00"}
        assert [row[2] for row in contents(world)["employees"]] == ["New"]
        assert [str(row[2]) for row in contents(world)["quarters"]] == ["3.00", "1200.50"]

    def test_wages_of_the_old_system_are_newer_than_files_of_before(self, world: DorWorld) -> None:
        """The old system recorded no name of a file, so that its wages have the time of its import."""
        import_file(world, EARLY, wage_line(quarter="1.00"))
        for start_of_import, expected in (("2020-05-19 20:00", "2"), ("2020-05-18 20:00", "1.00")):
            (old,) = world.query(
                "INSERT INTO import_log (source, import_type, status, report, start)"
                " VALUES ('DOR', 'Initial', 'success', '{}', %s) RETURNING import_log_id",
                f"{start_of_import}+00",
            )
            world.execute("UPDATE wages_and_contributions SET employee_qtr_wages = 2, latest_import_log_id = %s", *old)
            import_file(world, EARLY, wage_line(quarter="1.00"), REIMPORT=EARLY)
            assert list(wages(world).values()) == [expected]

    @pytest.mark.parametrize("name", ["DORDFML_20201399000000", "DORDFML_20200501", "DORDFML_29990101000000"])
    def test_name_without_a_valid_time_is_reported_and_exempt(self, world: DorWorld, name: str) -> None:
        import_file(world, MIDDLE, wage_line(quarter="2.00"))
        report = import_file(world, name, wage_line(quarter="1.00"))
        assert report["note"] == "the name contains no valid time, so the order was not checked"
        assert wages(world) == {("250000001", "100000001"): "1.00"}
        import_file(world, LATE, wage_line(quarter="3.00"))

    def test_refused_file_that_was_imported_before_is_only_moved(self, world: DorWorld) -> None:
        import_file(world, EARLY, wage_line(quarter="1.00"))
        import_file(world, LATE, wage_line(quarter="3.00"))
        assert import_file(world, EARLY, wage_line(quarter="1.00"))["already_imported_count"] == 1
        assert wages(world) == {("250000001", "100000001"): "3.00"}


class TestReplay:
    def test_rejected_lines_are_imported_once_when_their_cause_is_gone(self, world: DorWorld) -> None:
        import_file(world, MIDDLE, WAGES)
        add_other_employer(world)
        report = replay(world, MIDDLE)
        assert (report["lines_count"], report["replayed_lines_count"], report["rejected_lines_count"]) == (3, 2, 1)
        assert report["created_wages_and_contributions_count"] == report["created_employer_quarters_count"] == 1
        assert wages(world) == {("250000001", "100000001"): "5000.00", ("250000002", OTHER[0]): "5000.00"}
        assert world.query(
            "SELECT line_number, superseded_by = (SELECT max(import_log_id) FROM import_log)"
            " FROM dor_rejected_line ORDER BY line_number"
        ) == [(3, True), (4, True), (5, None)]
        before = contents(world)
        assert replay(world, MIDDLE)["replayed_lines_count"] == 0
        assert contents(world) == before

    def test_nothing_to_replay_is_a_success(self, world: DorWorld) -> None:
        import_file(world, MIDDLE, quarter_line() + b"\n" + wage_line())
        reports = len(world.reports())
        replay(world, MIDDLE)
        assert len(world.reports()) == reports

    def test_file_that_was_not_imported_is_an_error(self, world: DorWorld) -> None:
        for name in (LATE, "DORDUADFML_1", "nothing"):
            assert f"REPLAY={name} is not a file that this job has imported" in run_and_fail(world, REPLAY=name)

    def test_line_that_is_rejected_again_has_its_new_reason(self, world: DorWorld) -> None:
        import_file(world, MIDDLE, wage_line("123456789", OTHER[1]))
        add_other_employer(world)
        assert replay(world, MIDDLE)["replayed_lines_count"] == 0
        assert contents(world)["rejects"] == [(MIDDLE, 1, "employee quarter", "employee_ssn", "placeholder number")]

    def test_replay_overwrites_no_value_of_a_later_file(self, world: DorWorld) -> None:
        import_file(world, EARLY, wage_line("250000001", OTHER[1], quarter="1.00", last="Old"))
        add_other_employer(world)
        import_file(world, LATE, wage_line("250000001", OTHER[1], quarter="3.00", last="New"))
        report = replay(world, EARLY)
        assert report["unmodified_wages_and_contributions_count"] == 1
        assert wages(world) == {("250000001", OTHER[0]): "3.00"}
        assert [row[2] for row in contents(world)["employees"]] == ["New"]

    def test_older_quarter_does_not_rename_a_person(self, world: DorWorld) -> None:
        lines = [wage_line(last="New"), wage_line("250000001", OTHER[1], period="20191231", last="Old")]
        import_file(world, EARLY, wage_line(last="New"))
        import_file(world, MIDDLE, b"\n".join(lines))
        add_other_employer(world)
        replay(world, MIDDLE)
        assert [row[2] for row in contents(world)["employees"]] == ["New"]

    def test_each_import_of_the_name_is_replayed_from_its_own_lines(self, world: DorWorld) -> None:
        import_file(world, MIDDLE, wage_line("250000001", OTHER[1]) + b"\nX\n")
        import_file(world, MIDDLE, b"Y\n" + wage_line("250000002", OTHER[1]))
        add_other_employer(world)
        replay(world, MIDDLE)
        assert set(wages(world)) == {("250000001", OTHER[0]), ("250000002", OTHER[0])}

    def test_encrypted_lines_are_replayed(self, world: DorWorld) -> None:
        key = encryption.generate_key("DOR replay tests", SecretStr("a passphrase"))
        settings = secrets(key) | LIMIT
        import_file(world, MIDDLE, encrypt(WAGES, key), **settings)
        world.put("DORDFMLEMP_20200520000000", encrypt(employer_line(*OTHER), key))
        assert run_in_process(world, **settings) == 0
        assert replay(world, MIDDLE, **settings)["replayed_lines_count"] == 2

    @pytest.mark.parametrize("content", [b"", b"X\n" * 4], ids=["fewer", "more"])
    def test_damaged_file_of_rejected_lines_changes_nothing(self, world: DorWorld, content: bytes) -> None:
        import_file(world, MIDDLE, WAGES)
        add_other_employer(world)
        (world.dor / "rejected" / f"{MIDDLE}.rej").write_bytes(content)
        assert "lines than the 3 in dor_rejected_line" in run_and_fail(world, REPLAY=MIDDLE)
        assert len(wages(world)) == 1
        (world.dor / "rejected" / f"{MIDDLE}.rej").unlink()
        message = run_and_fail(world, REPLAY=MIDDLE)
        assert message.endswith("not found. Restore it, or import the received file again with REIMPORT.")

    def test_line_after_an_accepted_one_does_not_belong_to_a_rejected_one(self, world: DorWorld) -> None:
        name = "DORDUADFML_20200519000000"
        lines = [response_a("100000003"), response_b("250000001"), response_a("100000004"), response_b("000000000")]
        world.put(name, b"\n".join([lines[0].replace(b"20210930", b"2021093X"), *lines[1:]]))
        assert run_in_process(world, EXEMPT, **LIMIT) == 0
        (world.dor / "rejected" / f"{name}.rej").write_bytes(
            b"\n".join([lines[0], lines[1], response_b("250000009")]) + b"\n"
        )
        assert run_in_process(world, EXEMPT, REPLAY=name) == 0
        assert set(wages(world)) == {("250000001", "100000003")}
        assert [row[4] for row in contents(world)["rejects"] if row[1] == 4] == ["no usable employer line before it"]

    def test_exemption_of_a_later_response_is_retained(self, world: DorWorld) -> None:
        name = "DORDFMLEMP_20200518000000"
        line = employer_line(updated="20200502000000", name="Renamed", family="T", state="ZZ")
        import_file(world, name, line)
        world.put("CompaniesReturningToStatePlan.csv", returning_csv(csv_row("100000001", medical="Yes")))
        world.put("DORDUADFML_SUBMISSION_20200520000000", response_a("100000001"))
        assert run_in_process(world, RESPONSE) == 0
        (world.dor / "rejected" / f"{name}.rej").write_bytes(line.replace(b"ZZ02110", b"MA02110") + b"\n")
        assert replay(world, name)["updated_employers_count"] == 1
        (employer,) = contents(world)["employers"]
        assert employer[2] == "Renamed"
        assert employer[4:6] == (False, True)

    @pytest.mark.parametrize("table", ["wages_and_contributions", "dor_rejected_line", "dor_imported_file"])
    def test_replay_after_a_kill_has_the_result_of_an_undisturbed_one(self, world: DorWorld, table: str) -> None:
        import_file(world, MIDDLE, WAGES)
        add_other_employer(world)
        with locked(world, table, "SHARE"):
            process = start(world, REPLAY=MIDDLE)
            wait_for_waiter(world, process)
            process.kill()
            process.communicate()
        assert len(wages(world)) == 1
        wait_for_exit(start(world, REPLAY=MIDDLE))
        assert len(wages(world)) == 2
        assert world.query("SELECT count(*) FROM dor_rejected_line WHERE superseded_by IS NULL") == [(1,)]
