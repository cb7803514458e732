"""Imports with invalid files, killed processes, full disks and lost connections."""

from __future__ import annotations

import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from nightferry.testing.tiers import LONG
from paidleave.dor import encryption
from tests.dor import reference
from tests.dor.encryption.messages import gpg, stop_agent
from tests.dor.imports import EMPLOYER_FILE, WAGE_FILE, DorWorld, contents, run_in_process, start
from tests.dor.lines import employer_line, quarter_line, wage_line

pytestmark = pytest.mark.sampled(8)

KEYS = ("44100000001", "44100000002")
EMPLOYERS = b"\n".join([employer_line(), employer_line("100000002", KEYS[1]), b"bad", b""])
WAGES = b"\n".join(
    [quarter_line(key) for key in KEYS]
    + [wage_line(f"25000{person:04}", key) for person in range(300) for key in KEYS]
    + [b"", b"X", wage_line("12345678X"), b""]
)
TABLES = ("employee", "wages_and_contributions", "dor_imported_file", "dor_rejected_line", "employer")


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    world = DorWorld(database, tmp_path / "dor")
    world.put(EMPLOYER_FILE, EMPLOYERS)
    world.put(WAGE_FILE, WAGES)
    return world


@pytest.fixture(scope="module")
def key() -> encryption.KeyPair:
    return encryption.generate_key("DOR import tests", SecretStr("a passphrase"))


@pytest.fixture(scope="module")
def encrypted_wages(key: encryption.KeyPair) -> bytes:
    return encrypt(WAGES, key)


def encrypt(content: bytes, key: encryption.KeyPair) -> bytes:
    class Target:
        data = b""

        def write(self, data: bytes) -> int:
            self.data += data
            return len(data)

    target = Target()
    with encryption.encrypt(target, key.public) as stream:
        stream.write(content)
    return target.data


def secrets(key: encryption.KeyPair) -> dict[str, str]:
    return {
        "DECRYPT": "true",
        "GPG_DECRYPTION_KEY": key.private.get_secret_value(),
        "GPG_DECRYPTION_KEY_PASSPHRASE": "a passphrase",
        "REJECTED_SHARE_LIMIT": "0.5",
    }


def expected_contents() -> dict[str, Any]:
    database = reference.Database(frozenset({"MA"}), frozenset({"USA"}))
    reference.import_file(database, EMPLOYER_FILE, EMPLOYERS, 0.5)
    reference.import_file(database, WAGE_FILE, WAGES, 0.5)
    return reference.contents(database)


def wait_for_exit(process: subprocess.Popen[str], code: int = 0) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    return output


LIMIT = {"REJECTED_SHARE_LIMIT": "0.5"}


class TestInvalidFiles:
    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (lambda data: data[: len(data) // 2], "truncated"),
            (lambda data: data[:-1], "truncated"),
            (lambda data: data[:1000] + bytes([data[1000] ^ 1]) + data[1001:], "corrupted"),
            (lambda data: b"", "empty"),
            (lambda data: WAGES, "not an encrypted OpenPGP message"),
        ],
        ids=["half", "last byte missing", "one bit", "empty", "plain"],
    )
    def test_damaged_file_is_not_imported(
        self,
        world: DorWorld,
        key: encryption.KeyPair,
        encrypted_wages: bytes,
        damage: Callable[[bytes], bytes],
        words: str,
    ) -> None:
        world.put(EMPLOYER_FILE, encrypt(EMPLOYERS, key))
        world.put(WAGE_FILE, damage(encrypted_wages))
        later = world.put("DORDFML_20990101000000", encrypted_wages)
        assert run_in_process(world, **secrets(key)) == 1
        assert (world.received / WAGE_FILE).exists()
        assert later.exists()
        assert not (world.received / EMPLOYER_FILE).exists()
        tables = contents(world)
        assert tables["wages"] == tables["employees"] == tables["quarters"] == []
        report = world.reports()[-1]
        assert report["status"] == "error"
        assert words in report["message"]
        assert WAGE_FILE in report["message"]

        world.put(WAGE_FILE, encrypted_wages)
        later.unlink()
        assert run_in_process(world, **secrets(key)) == 0
        assert contents(world) == expected_contents()

    def test_file_for_another_key_is_not_imported(self, world: DorWorld, key: encryption.KeyPair) -> None:
        other = encryption.generate_key("Somebody else")
        world.put(EMPLOYER_FILE, encrypt(EMPLOYERS, other))
        assert run_in_process(world, **secrets(key)) == 1
        assert contents(world)["employers"] == []
        assert (world.received / EMPLOYER_FILE).exists()

    def test_file_without_the_required_signature_is_not_imported(
        self, world: DorWorld, key: encryption.KeyPair
    ) -> None:
        world.put(EMPLOYER_FILE, encrypt(EMPLOYERS, key))
        assert run_in_process(world, **secrets(key), GPG_SIGNER_KEY=key.public) == 1
        assert "the file is not signed, but GPG_SIGNER_KEY requires a signature" in world.reports()[-1]["message"]
        with pytest.raises(ValueError, match="GPG_SIGNER_KEY requires DECRYPT=true"):
            run_in_process(world, GPG_SIGNER_KEY=key.public)

    def test_unfinished_upload_is_ignored(self, world: DorWorld) -> None:
        part = world.put(WAGE_FILE + ".part", WAGES)
        temporary = world.put(f"{WAGE_FILE}.tmp", WAGES)
        assert run_in_process(world, **LIMIT) == 0
        assert part.exists()
        assert temporary.exists()

    def test_no_files_to_import_is_a_success(self, database: str, tmp_path: Path) -> None:
        world = DorWorld(database, tmp_path / "missing")
        assert run_in_process(world) == 0
        assert world.reports() == []

    def test_too_many_bad_lines_fail_the_file_and_are_stored(self, world: DorWorld) -> None:
        assert run_in_process(world) == 1
        assert contents(world)["employers"] == []
        assert contents(world)["rejects"] == [
            (EMPLOYER_FILE, 3, "employer", None, "invalid line length 3 (expected 866)")
        ]
        assert (world.dor / "rejected" / f"{EMPLOYER_FILE}.rej").read_bytes() == b"bad\n"
        report = world.reports()[-1]
        assert report["message"].startswith(f"JobFailed: {EMPLOYER_FILE} was not imported")
        assert "REJECTED_SHARE_LIMIT" in report["message"]
        assert (report["lines_count"], report["rejected_lines_count"], report["rejected_employers_count"]) == (3, 1, 1)
        assert "created_employers_count" not in report

        assert run_in_process(world, **LIMIT) == 0
        assert contents(world) == expected_contents()

    def test_corrected_file_of_the_same_name_replaces_the_rejects(self, world: DorWorld) -> None:
        assert run_in_process(world) == 1
        world.put(EMPLOYER_FILE, employer_line())
        world.put(WAGE_FILE, wage_line())
        assert run_in_process(world) == 0
        assert contents(world)["rejects"] == []
        assert not (world.dor / "rejected" / f"{EMPLOYER_FILE}.rej").exists()


class TestFilesWithTheSameName:
    SECOND = b"\n".join([employer_line("100000003", "44100000003"), b"worse", b""])

    def import_first(self, world: DorWorld) -> None:
        (world.received / WAGE_FILE).unlink()
        assert run_in_process(world, **LIMIT) == 0

    def files(self, world: DorWorld, folder: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (world.dor / folder).iterdir()}

    def lines(self, world: DorWorld) -> list[Any]:
        """Return the attempt number of each rejected line and its length from the reason."""
        return world.query(
            "SELECT dense_rank() OVER (ORDER BY import_log_id), substring(reason FROM 'length ([0-9]+)')"
            " FROM dor_rejected_line ORDER BY import_log_id, line_number"
        )

    def test_second_file_does_not_change_the_first(self, world: DorWorld) -> None:
        self.import_first(world)
        world.put(EMPLOYER_FILE, self.SECOND)
        assert run_in_process(world, **LIMIT) == 0
        assert self.files(world, "processed") == {EMPLOYER_FILE: EMPLOYERS, f"{EMPLOYER_FILE}.2": self.SECOND}
        assert self.files(world, "rejected") == {
            f"{EMPLOYER_FILE}.rej": b"bad\n",
            f"{EMPLOYER_FILE}.2.rej": b"worse\n",
        }
        assert self.lines(world) == [(1, "3"), (2, "5")]

    def test_failed_attempts_replace_each_other_but_not_the_first_file(self, world: DorWorld) -> None:
        self.import_first(world)
        for bad in (b"worst", b"as bad"):
            world.put(EMPLOYER_FILE, employer_line("100000003", "44100000003") + b"\n" + bad + b"\n")
            assert run_in_process(world) == 1
            assert self.files(world, "rejected") == {
                f"{EMPLOYER_FILE}.rej": b"bad\n",
                f"{EMPLOYER_FILE}.2.rej": bad + b"\n",
            }
            assert self.lines(world) == [(1, "3"), (2, str(len(bad)))]
        world.put(EMPLOYER_FILE, employer_line("100000003", "44100000003"))
        assert run_in_process(world) == 0
        assert self.files(world, "rejected") == {f"{EMPLOYER_FILE}.rej": b"bad\n"}
        assert self.lines(world) == [(1, "3")]

    def test_previously_imported_files_are_moved_to_their_numbers(self, world: DorWorld) -> None:
        """Simulate a crash between the commit and the move."""
        self.import_first(world)
        world.put(EMPLOYER_FILE, self.SECOND)
        for retain in ("true", "true", "false"):
            assert run_in_process(world, RETAIN_RECEIVED_FILES=retain, **LIMIT) == 0
        world.put(EMPLOYER_FILE, employer_line("100000004", "44100000004"))
        assert run_in_process(world, **LIMIT) == 0
        assert self.files(world, "processed") == {
            EMPLOYER_FILE: EMPLOYERS,
            f"{EMPLOYER_FILE}.2": self.SECOND,
            f"{EMPLOYER_FILE}.3": employer_line("100000004", "44100000004"),
        }
        assert self.lines(world) == [(1, "3"), (2, "5")]

    def test_same_content_under_two_names_overwrites_nothing(self, world: DorWorld) -> None:
        self.import_first(world)
        other = f"{EMPLOYER_FILE[:-1]}9"
        world.put(other, self.SECOND)
        assert run_in_process(world, **LIMIT) == 0
        world.put(EMPLOYER_FILE, self.SECOND)
        assert run_in_process(world, **LIMIT) == 0
        assert world.reports()[-1]["reimported_files_count"] == 1
        assert self.files(world, "processed") == {
            EMPLOYER_FILE: EMPLOYERS,
            f"{EMPLOYER_FILE}.2": self.SECOND,
            other: self.SECOND,
        }


class TestRejectedLines:
    def test_raw_lines_of_an_encrypted_file_are_encrypted(
        self, world: DorWorld, key: encryption.KeyPair, encrypted_wages: bytes
    ) -> None:
        world.put(EMPLOYER_FILE, encrypt(EMPLOYERS, key))
        world.put(WAGE_FILE, encrypted_wages)
        assert run_in_process(world, **secrets(key)) == 0
        with (
            (world.dor / "rejected" / f"{WAGE_FILE}.rej").open("rb") as stored,
            encryption.decrypt(stored, key.private, SecretStr("a passphrase")) as plain,
        ):
            lines = b"".join(iter(lambda: plain.read(1000), b""))
        assert lines == b"\nX\n" + wage_line("12345678X") + b"\n"

    def test_raw_lines_are_written_with_an_expired_key(
        self, world: DorWorld, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with tempfile.TemporaryDirectory(prefix="keys-", dir="/tmp") as name:
            home, then = Path(name), ("--faked-system-time", "20240201T000000!")
            gpg(home, *then, "--quick-generate-key", "expired", "future-default", "default", "20250101T000000")
            private = gpg(home, "--armor", "--export-secret-keys").decode()
            world.put(
                EMPLOYER_FILE,
                gpg(home, *then, "--trust-model", "always", "-r", "expired", "--encrypt", data=EMPLOYERS),
            )
            stop_agent(home)
        (world.received / WAGE_FILE).unlink()
        assert run_in_process(world, GPG_DECRYPTION_KEY=private, DECRYPT="true", REJECTED_SHARE_LIMIT="0.5") == 0
        assert "GPG_DECRYPTION_KEY expired on 2025-01-01. The key decrypts, but DOR cannot" in caplog.text
        report = world.reports()[-1]
        assert (report["created_employers_count"], report["rejected_lines_count"]) == (2, 1)
        assert report["decryption_key_expires"] == "2025-01-01T00:00:00+00:00"
        with (
            (world.dor / "rejected" / f"{EMPLOYER_FILE}.rej").open("rb") as stored,
            encryption.decrypt(stored, SecretStr(private)) as plain,
        ):
            assert plain.read() == b"bad\n"

    def test_report_and_log_contain_no_personal_data(self, world: DorWorld) -> None:
        output = wait_for_exit(start(world, **LIMIT))
        for text in (output, str(world.reports())):
            for secret in ("250000", "12345678X", "44100000001", "100000001", "Berg", "Boats"):
                assert secret not in text

    def test_any_text_is_quoted_for_copy(self, world: DorWorld) -> None:
        odd = 'a\rb "c", \\. ,\t;'
        world.put(EMPLOYER_FILE, employer_line(name=odd, dba='"', street="\\N", city="\\."))
        world.put(WAGE_FILE, wage_line(first=odd, last='""'))
        assert run_in_process(world) == 0
        assert world.query("SELECT employer_name, employer_dba FROM employer") == [(odd, '"')]
        assert world.query("SELECT address_line_one, city FROM address") == [("\\N", "\\.")]
        assert world.query("SELECT first_name, last_name FROM employee") == [(odd, '""')]


class TestImportOnce:
    def test_same_content_under_another_name_is_not_imported_again(self, world: DorWorld) -> None:
        wages = quarter_line() + b"\n" + wage_line()
        world.put(WAGE_FILE, wages)
        assert run_in_process(world, **LIMIT) == 0
        before = contents(world)
        world.put("DORDFML_20990101000000", wages)
        assert run_in_process(world, **LIMIT) == 0
        assert contents(world) == before
        assert world.reports()[-1]["already_imported_count"] == 1
        assert not list(world.received.iterdir())
        assert (world.dor / "processed" / "DORDFML_20990101000000").read_bytes() == wages

    def test_file_of_a_crash_before_the_move_is_only_moved(self, world: DorWorld) -> None:
        assert run_in_process(world, RETAIN_RECEIVED_FILES="true", **LIMIT) == 0
        assert contents(world) == expected_contents()
        assert (world.received / WAGE_FILE).exists()
        assert run_in_process(world, **LIMIT) == 0
        assert contents(world) == expected_contents()
        assert not list(world.received.iterdir())

    def test_concurrent_imports_run_one_at_a_time(self, world: DorWorld) -> None:
        processes = [start(world, **LIMIT) for _ in range(2)]
        for process in processes:
            wait_for_exit(process)
        assert contents(world) == expected_contents()
        assert len(world.reports()) == 2


class TestKilledProcesses:
    @pytest.mark.parametrize("table", TABLES)
    def test_rerun_after_kill_has_the_result_of_an_undisturbed_run(self, world: DorWorld, table: str) -> None:
        """The process is killed at a defined point of the import: while it waits for ``table``."""
        with locked(world, table):
            process = start(world, **LIMIT)
            wait_for_waiter(world, process)
            process.kill()
            process.communicate()
        assert run_in_process(world, **LIMIT) == 0
        assert contents(world) == expected_contents()
        assert {report["status"] for report in world.reports()} <= {"success", "error"}

    def test_rerun_after_kills_at_random_times(self, world: DorWorld) -> None:
        rng = random.Random(2)
        started = time.monotonic()
        wait_for_exit(start(DorWorld(world.conninfo, world.dor / "nothing")))
        usual = time.monotonic() - started
        for _ in range(6 if LONG else 3):
            process = start(world, **LIMIT)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=usual * rng.uniform(0.7, 1.2))
            process.kill()
            process.communicate()
        assert run_in_process(world, **LIMIT) == 0
        assert contents(world) == expected_contents()

    def test_sigterm_stops_cleanly(self, world: DorWorld) -> None:
        with locked(world, "wages_and_contributions"):
            process = start(world, **LIMIT)
            wait_for_waiter(world, process)
            process.send_signal(signal.SIGTERM)
            wait_for_exit(process, 143)
        assert contents(world)["wages"] == []
        assert run_in_process(world, **LIMIT) == 0
        assert contents(world) == expected_contents()


class TestFailingDependencies:
    def test_lost_connection_fails_the_file(self, world: DorWorld) -> None:
        with locked(world, "wages_and_contributions"):
            process = start(world, **LIMIT)
            world.execute("SELECT pg_terminate_backend(%s)", wait_for_waiter(world, process))
            output = wait_for_exit(process, 1)
        assert f"{WAGE_FILE} was not imported" in output
        assert "Traceback" not in output
        report = world.reports()[-1]
        assert (report["lines_count"], report["rejected_lines_count"]) == (WAGES.count(b"\n"), 3)
        assert "created_wages_and_contributions_count" not in report
        assert contents(world)["wages"] == []
        assert run_in_process(world, **LIMIT) == 0
        assert contents(world) == expected_contents()

    def test_deleted_employer_fails_the_file(self, world: DorWorld) -> None:
        (world.received / WAGE_FILE).unlink()
        assert run_in_process(world, **LIMIT) == 0
        world.put(WAGE_FILE, WAGES)
        with locked(world, "dor_rejected_line", "SHARE"):
            process = start(world, **LIMIT)
            wait_for_waiter(world, process)
            world.execute("DELETE FROM link_employer_address")
            world.execute("DELETE FROM employer")
        output = wait_for_exit(process, 1)
        assert "was deleted during the job" in output
        assert contents(world)["wages"] == contents(world)["quarters"] == []

    def test_full_disk_fails_the_file_before_the_import(self, world: DorWorld) -> None:
        process = start(world, file_size_limit=1, **LIMIT)
        output = wait_for_exit(process, 1)
        assert "rejected lines" in output
        assert contents(world)["employers"] == []
        assert len(contents(world)["rejects"]) == 1
        assert not (world.dor / "rejected" / f"{EMPLOYER_FILE}.rej").exists()
        assert run_in_process(world, **LIMIT) == 0
        assert contents(world) == expected_contents()

    def test_role_without_superuser_imports_the_same(self, world: DorWorld) -> None:
        role = "importer_" + world.conninfo.rpartition("=")[2]
        world.execute(f"CREATE ROLE {role} LOGIN")
        world.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        world.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
        try:
            assert run_in_process(world, DB_USERNAME=role, **LIMIT) == 0
            assert contents(world) == expected_contents()
        finally:
            world.execute(f"DROP OWNED BY {role}")
            world.execute(f"DROP ROLE {role}")


@contextmanager
def locked(world: DorWorld, table: str, mode: str = "ACCESS EXCLUSIVE") -> Iterator[None]:
    with psycopg.connect(world.conninfo) as connection:
        connection.execute(f"LOCK TABLE {table} IN {mode} MODE".encode())
        yield
        connection.rollback()


def wait_for_waiter(world: DorWorld, process: subprocess.Popen[str]) -> int:
    """Wait until the import ``process`` waits for a table; return the id of its database process."""
    query = """
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'relation'
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := world.query(query):
            return int(found[0][0])
        if process.poll() is not None:
            raise AssertionError(f"the import exited: {process.communicate()[0]}")
        time.sleep(0.02)
    raise AssertionError("no import is waiting for a table")
