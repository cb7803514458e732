"""Test local services with real servers: start on demand, takeover, restart and stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from nightferry import Catalog, CommandService, Image, PostgresService
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.errors import ServiceFailed, UnknownName
from nightferry.local.backend import LocalBackend
from nightferry.local.services.data_folders import find_folder
from nightferry.local.services.postgres import Postgres
from nightferry.local.services.services import Services
from tests.chaos.engines import until
from tests.local.toy import make_project

SERVER = """
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"pid": os.getpid(), "variables": dict(os.environ)}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
# An owner in a separate process: it starts all services, reports it and waits to be killed.
OWNER = """
import sys
from pathlib import Path
from tests.local.services.test_services import services
owned = services(Path(sys.argv[1]))
owned.start()
print("started", flush=True)
sys.stdin.read()
"""


def services(state: Path, *, command: tuple[str, ...] = (sys.executable, "-c", SERVER)) -> Services:
    catalog = Catalog("toy", image=Image("toy"))
    catalog.service(
        CommandService("simulator", command=command, ready="/health", env={"PORT": "${service:simulator.port}"})
    )
    return Services(catalog, Environment("local", "local", {}, Path("environments/local.toml")), state)


def fetch(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())  # type: ignore[no-any-return]  # the JSON object of SERVER


def has_ended(pid: object) -> Callable[[], bool]:
    def check() -> bool:
        try:
            return psutil.Process(int(str(pid))).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return check


def test_a_service_starts_when_its_address_is_needed_and_ends_with_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from the user's shell")
    with services(tmp_path) as owned:
        first = fetch(owned.address("simulator", "url"))
        assert fetch(owned.address("simulator", "url"))["pid"] == first["pid"]
        assert isinstance(first["variables"], dict)
        assert first["variables"].keys() - {"LC_CTYPE"} == {"PATH", "PYTHONPATH", "HOME", "LANG", "TZ", "PORT"}
        port = owned.address("simulator", "port")
    assert has_ended(first["pid"])()
    with services(tmp_path) as again:
        assert again.address("simulator", "port") == port, "the port must not change, because clients store it"


def test_a_service_that_ended_is_restarted(tmp_path: Path) -> None:
    with services(tmp_path) as owned:
        url = owned.address("simulator", "url")
        before = fetch(url)["pid"]
        assert owned.check() == []
        os.kill(int(str(before)), signal.SIGKILL)
        restarted: list[str] = []
        until(lambda: bool(restarted.extend(owned.check()) or restarted), "it is restarted")
        assert restarted == ["simulator"]
        assert fetch(url)["pid"] != before


def test_a_service_dies_with_its_killed_owner_and_keeps_its_port(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert owner.stdin is not None
    assert owner.stdout.readline() == b"started\n"
    with services(tmp_path) as guest:
        first = fetch(guest.address("simulator", "url"))["pid"]
    assert not has_ended(first)(), "only the owner stops a service"
    owner.kill()
    owner.wait()
    owner.stdout.close()
    owner.stdin.close()
    until(has_ended(first), "the service dies with its owner")
    with services(tmp_path) as next_owner:
        second = fetch(next_owner.address("simulator", "url"))["pid"]
        assert second != first
    assert has_ended(second)()


def test_a_service_that_fails_is_reported_with_the_reason(tmp_path: Path) -> None:
    failing = (sys.executable, "-c", "import sys; sys.exit('no such table: claims')")
    with pytest.raises(ServiceFailed, match=r"'simulator' did not become ready.*\n.*no such table: claims"):
        services(tmp_path, command=failing).start()
    with pytest.raises(ServiceFailed, match=r"no-such-server: No such file.*Check that the project is installed"):
        services(tmp_path, command=("no-such-server",)).start()


def test_another_program_on_the_port_is_not_mistaken_for_the_service(tmp_path: Path) -> None:
    owned = services(tmp_path)
    taken = socket.create_server(("127.0.0.1", int(owned.address("simulator", "port"))))
    with taken, pytest.raises(ServiceFailed, match="another program is listening on its port"):
        owned.start()


def test_an_unknown_service_or_address_is_reported(tmp_path: Path) -> None:
    with services(tmp_path) as owned:
        with pytest.raises(UnknownName, match="Did you mean simulator"):
            owned.address("simulater", "url")
        with pytest.raises(UnknownName, match="port, url"):
            owned.address("simulator", "host")


def test_a_service_that_fails_to_start_is_reported_and_retried(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    later = ("sh", "-c", f'test -e {ready} || exit 1; exec "$0" -c "$1"', sys.executable, SERVER)
    with services(tmp_path / "state", command=later) as owned:
        owned.start_available()
        assert "Service 'simulator' did not become ready" in owned.problems["simulator"]
        with pytest.raises(ServiceFailed, match="did not become ready"):
            owned.address("simulator", "url")
        ready.touch()
        owned._next_check = 0.0
        assert owned.check() == ["simulator"]
        assert owned.problems == {}
        assert fetch(owned.address("simulator", "url"))["pid"]


@pytest.fixture
def with_database(tmp_path: Path) -> Iterator[Callable[[], Services]]:
    state = tmp_path / "state"
    catalog = Catalog("toy", image=Image("toy"))
    catalog.service(PostgresService("database", database="toy"))
    environment = Environment("local", "local", {}, Path("environments/local.toml"))
    yield lambda: Services(catalog, environment, state)
    server = Postgres(find_folder("database", state))
    server.stop()
    subprocess.run(["rm", "-rf", server.directory], check=True)


def test_a_running_database_is_taken_over_and_a_dead_one_is_restarted(
    with_database: Callable[[], Services],
) -> None:
    first = with_database()  # never stopped, as after a kill
    host = first.address("database", "host")
    assert first.address("database", "database") == "toy"
    pid = read_postmaster_pid(host)
    with with_database() as second:
        assert second.address("database", "host") == host
        assert read_postmaster_pid(host) == pid
        with psycopg.connect(f"host={host} user=postgres dbname=toy") as connection:
            connection.execute("CREATE TABLE kept (n integer)")
        os.kill(pid, signal.SIGKILL)
        until(has_ended(pid), "the server is dead")
        restarted: list[str] = []
        until(lambda: bool(restarted.extend(second.check()) or restarted), "it is restarted")
        assert read_postmaster_pid(host) != pid
        with psycopg.connect(f"host={host} user=postgres dbname=toy") as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        last = read_postmaster_pid(host)
    assert has_ended(last)()


def read_postmaster_pid(socket_directory: str) -> int:
    return int((Path(socket_directory).parent / "data" / "postmaster.pid").read_text().splitlines()[0])


def test_a_service_needed_only_by_a_definition_is_stopped_again(tmp_path: Path) -> None:
    root = make_project(tmp_path / "toy")
    module = next(root.glob("toy_*.py"))
    command = (sys.executable, "-c", SERVER)
    module.write_text(
        module.read_text()
        + f"""
port = {{"PORT": "${{service:simulator.port}}"}}
catalog.service(CommandService("simulator", command={command!r}, ready="/", env=port))
catalog.workflow("calls", Steps(RunTask(mark, env={{"COLOR": "${{service:simulator.url}}"}})))
"""
    )
    project = Project.find(root)
    backend = LocalBackend(project, project.environment("local"))
    before = {child.pid for child in psutil.Process().children()}
    id = backend.start_workflow("calls", {})
    assert "http://127.0.0.1:" in str(backend.store.definition(id))
    assert {child.pid for child in psutil.Process().children()} <= before
    assert not list((project.state / "services").glob("simulator.json"))
