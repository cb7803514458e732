"""A real FINEOS simulator in a process of its own, on loopback, for each test that wants one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from paidleave.fineos.settings import FineosClientSettings

CLIENT = ("test-client", "test-secret-not-for-logs")


@dataclass
class RunningSimulator:
    """A simulator process; ``folder`` holds its state, ``import`` and ``export``."""

    folder: Path
    process: subprocess.Popen[str] | None = None
    port: int = 0
    http: httpx.Client = field(init=False)

    def start(self, *options: str) -> None:
        with (self.folder / "stderr").open("a") as stderr:
            self.process = subprocess.Popen(
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
        """What it wrote to stderr."""
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
        """Settings with which the client reaches it."""
        return {
            "fineos_client_wscomposer_api_url": f"{self.url}integration-services/wscomposer/",
            "fineos_client_oauth2_url": f"{self.url}oauth2/token",
            "fineos_client_oauth2_client_id": CLIENT[0],
            "fineos_client_oauth2_client_secret": CLIENT[1],
            "fineos_client_backoff": 0.01,
            **changes,
        }


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[RunningSimulator]:
    folder = tmp_path / "simulator"
    for name in ("import", "export"):
        (folder / name).mkdir(parents=True)
    running = RunningSimulator(folder)
    running.start()
    yield running
    if running.process is not None:
        running.stop()


@pytest.fixture
def client_settings(simulator: RunningSimulator) -> Callable[..., FineosClientSettings]:
    """Makes the client's settings, with changes."""
    return lambda **changes: FineosClientSettings(**simulator.client_settings(**changes))
