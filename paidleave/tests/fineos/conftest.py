"""A FINEOS simulator in a separate process on the loopback interface for each test that requests it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from nightferry import JobFailed, Run
from nightferry.job.runtime import Runtime
from nightferry.testing import forked
from paidleave.fineos.employers.command import main as load_employers
from paidleave.fineos.settings import FineosClientSettings, LoadEmployersSettings
from tests.task_process import database_env

CLIENT = ("test-client", "test-secret-not-for-logs")


@dataclass
class RunningSimulator:
    """A simulator process. ``folder`` contains its state and the folders ``import`` and ``export``."""

    folder: Path
    process: subprocess.Popen[str] | None = None
    port: int = 0
    http: httpx.Client = field(init=False)

    def start(self, *options: str) -> None:
        with (self.folder / "stderr").open("a") as stderr:
            self.process = forked.Popen(
                [
                    *(sys.executable, "-m", "paidleave.fineos.simulator", "--port", str(self.port)),
                    *("--state", str(self.folder / "fineos.sqlite")),
                    *("--import-folder", str(self.folder / "import"), "--export-folder", str(self.folder / "export")),
                    *options,
                ],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={
                    "PATH": os.environ["PATH"],
                    "FINEOS_SIMULATOR_CLIENT_ID": CLIENT[0],
                    "FINEOS_SIMULATOR_CLIENT_SECRET": CLIENT[1],
                },
            )
        assert self.process.stdout is not None
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.http = httpx.Client(base_url=self.url, auth=CLIENT, timeout=30, trust_env=False)

    def stop(self, *, kill: bool = False) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        self.http.close()
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        code = self.process.wait(10)
        self.process.stdout.close()
        self.process = None
        return code

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def errors(self) -> str:
        """The content of its stderr."""
        return (self.folder / "stderr").read_text()

    def faults(self, **faults: Any) -> None:
        """Replace all faults."""
        self.http.put("_simulator/faults", json=faults).raise_for_status()

    def expire_tokens(self) -> None:
        self.http.delete("_simulator/tokens").raise_for_status()

    def state(self) -> dict[str, Any]:
        return dict(self.http.get("_simulator/state").raise_for_status().json())

    def parties(self) -> list[dict[str, Any]]:
        return list(self.http.get("_simulator/parties").raise_for_status().json())

    def client_settings(self, **changes: Any) -> dict[str, Any]:
        """Return the client's settings for this simulator."""
        return {
            "fineos_client_wscomposer_api_url": f"{self.url}integration-services/wscomposer/",
            "fineos_client_oauth2_url": f"{self.url}oauth2/token",
            "fineos_client_oauth2_client_id": CLIENT[0],
            "fineos_client_oauth2_client_secret": CLIENT[1],
            "fineos_client_backoff": 0.01,
            **changes,
        }


@contextmanager
def run_simulator(folder: Path) -> Iterator[RunningSimulator]:
    """Run a simulator with its state and the vendor's folders in ``folder``."""
    for name in ("import", "export"):
        (folder / name).mkdir(parents=True)
    running = RunningSimulator(folder)
    running.start()
    yield running
    if running.process is not None:
        running.stop()


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[RunningSimulator]:
    with run_simulator(tmp_path / "simulator") as running:
        yield running


@pytest.fixture
def client_settings(simulator: RunningSimulator) -> Callable[..., FineosClientSettings]:
    """Return a function that builds the client's settings with changes."""
    return lambda **changes: FineosClientSettings(**simulator.client_settings(**changes))


@dataclass
class EmployerTable:
    """The employers of a test's database and their queue. Runs loaders in separate processes."""

    conninfo: str
    simulator: RunningSimulator
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            **database_env(self.conninfo),
            "EMPLOYER_LOAD_MODE": "updates",
        } | {name.upper(): str(value) for name, value in self.simulator.client_settings().items()}

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.conninfo) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def add(
        self,
        name: str | None = "Widgets",
        dba: str | None = "Widgets",
        *,
        family: bool | None = False,
        medical: bool | None = False,
        commence: str | None = "9999-12-31",
        cease: str | None = "9999-12-31",
        number: int | None = None,
        action: str | None = "INSERT",
    ) -> UUID:
        """Add an employer with a unique FEIN, and a queue row with ``action`` (None: no row)."""
        employer = uuid4()
        self.query(
            """INSERT INTO employer (employer_id, employer_fein, employer_name, employer_dba, family_exemption,
            medical_exemption, exemption_commence_date, exemption_cease_date, fineos_employer_id)
            VALUES (%s, (SELECT coalesce(max(employer_fein::int) + 1, 100000000)::text FROM employer),
            %s, %s, %s, %s, %s, %s, %s)""",
            *(employer, name, dba, family, medical, commence, cease, number),
        )
        if action is not None:
            self.push(employer, action)
        return employer

    def add_many(self, count: int, name: str = "Widgets") -> None:
        """Add ``count`` employers, each with an INSERT row."""
        self.query(
            """WITH new AS (
                INSERT INTO employer (employer_id, employer_fein, employer_name, employer_dba, family_exemption,
                    medical_exemption)
                SELECT gen_random_uuid(), (100000000 + n)::text, %s || n, NULL, false, n %% 2 = 0
                FROM generate_series(1, %s) AS n RETURNING employer_id
            )
            INSERT INTO employer_push_to_fineos_queue
                (employer_push_to_fineos_queue_id, employer_id, action, modified_at)
            SELECT gen_random_uuid(), employer_id, 'INSERT', now() FROM new""",
            *(name, count),
        )

    def push(
        self,
        employer: UUID | None,
        action: str = "UPDATE",
        *,
        family: bool | None = None,
        medical: bool | None = None,
        commence: str | None = None,
        cease: str | None = None,
        modified_at: str = "now",
        process_id: int | None = None,
    ) -> UUID:
        """Add a queue row with the exemption that the employer had before."""
        row = uuid4()
        self.query(
            """INSERT INTO employer_push_to_fineos_queue (employer_push_to_fineos_queue_id, employer_id, action,
            modified_at, process_id, family_exemption, medical_exemption, exemption_commence_date,
            exemption_cease_date) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            *(row, employer, action, modified_at, process_id, family, medical, commence, cease),
        )
        return row

    def queue(self) -> int:
        return int(self.query("SELECT count(*) FROM employer_push_to_fineos_queue")[0][0])

    def start(self, *arguments: str, **environment: object) -> subprocess.Popen[str]:
        """Start a loader whose output goes to a separate file."""
        output = self.folder / f"loader-{uuid4()}.log"
        with output.open("w") as stream:
            return forked.Popen(
                [sys.executable, "-c", "from paidleave.fineos.employers.command import main; main()", *arguments],
                stdout=stream,
                stderr=subprocess.STDOUT,
                text=True,
                env=self.environment | {name: str(value) for name, value in environment.items()},
            )

    def load(self, *, code: int = 0, **environment: object) -> dict[str, Any]:
        """Run one loader in this process until it ends. Return the report of its import log."""
        variables = self.environment | {name: str(value) for name, value in environment.items()}
        fields = LoadEmployersSettings.model_fields
        settings = LoadEmployersSettings(
            **{name: variables[name.upper()] for name in fields if name.upper() in variables}
        )
        run = Run(Runtime.read("load-employers-to-fineos", self.environment))
        try:
            load_employers.body(settings, run)
            ended = 0
        except JobFailed:
            ended = 1
        assert ended == code
        return self.reports()[-1]

    def reports(self) -> list[dict[str, Any]]:
        return [
            json.loads(report) | {"status": status}
            for report, status in self.query("SELECT report, status FROM import_log ORDER BY import_log_id")
        ]

    def output(self) -> str:
        """Return the output of all loaders."""
        return "".join(file.read_text() for file in sorted(self.folder.glob("loader-*.log")))


@pytest.fixture
def employers(database: str, simulator: RunningSimulator, tmp_path: Path) -> EmployerTable:
    return EmployerTable(database, simulator, tmp_path)
