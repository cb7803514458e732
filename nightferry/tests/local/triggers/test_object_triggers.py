"""Test object triggers with real folders: new versions, ignored files, open files, and one start each across kills."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry import storage
from nightferry.backend.queries import RunFilter
from nightferry.backend.starts import StartFilter
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.runs.starts import Starter
from nightferry.local.services.services import Services
from nightferry.local.store import Filter, Store
from nightferry.local.triggers.object_content import BeingWritten, compute_version, fingerprint_status
from nightferry.local.triggers.object_folder import FolderWatch
from nightferry.local.triggers.object_triggers import ObjectTriggers
from nightferry.testing import forked
from nightferry.testing.tiers import LONG, examples
from tests.module_names import module_name

pytestmark = pytest.mark.sampled(8)

CATALOG = """
from pydantic import BaseModel
from nightferry import Catalog, Image
from nightferry.states.builder import RunTask, Steps

class Settings(BaseModel):
    "A shell command."

catalog = Catalog("watched", image=Image("watched"))
inbox = catalog.bucket("inbox")
out = catalog.setting("out", default="/dev/null")
script = 'printf "%s\\\\0%s\\\\0%s\\\\0" "$S3_BUCKET" "$S3_KEY" "$S3_VERSION" >> "$0"'
take = catalog.task("take", config=Settings, command=["sh", "-c", script, str(out)])
flow = catalog.workflow("flow", Steps(RunTask(take)))
catalog.object_trigger("csv", take, bucket=inbox, prefix="in/", suffix=".csv",
                       enabled=catalog.setting("csv", default=True))
catalog.object_trigger("flows", flow, bucket=inbox, prefix="in/flow", suffix=".txt", via="eventbridge")
"""


class TriggerHarness:
    """A project with a bucket, and the object triggers of successive engines."""

    def __init__(self, root: Path, **settings: str) -> None:
        module = module_name("watched", root)
        (root / "environments").mkdir(parents=True)
        (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
        (root / f"{module}.py").write_text(CATALOG)
        self.root = root
        self.module = root / f"{module}.py"
        self.out = root / "out"
        self.set(out=f'"{self.out}"')
        self.inbox = self.project.state / "buckets" / "inbox"
        self.folder = self.inbox / "in"
        self.folder.mkdir(parents=True)
        self.store = Store(self.project.state / "engine.sqlite")

    def set(self, **settings: str) -> None:
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (self.root / "environments" / "local.toml").write_text(f'backend = "local"\n[settings]\n{lines}')
        self.project = Project.find(self.root)
        self.environment = self.project.environment("local")

    def start_engine(self) -> None:
        """Create the object triggers of a new engine."""
        services = Services(self.project.catalog, self.environment, self.project.state)
        starter = Starter(self.store, self.project.catalog, services.resolve)
        self.watcher = ObjectTriggers(
            self.store, starter, self.project.catalog, self.environment, services.resolve.get_bucket_folder, settle=0
        )

    def poll_twice(self, trigger: str = "csv") -> None:
        """Poll twice: the first poll finds new files, and the second treats them as settled."""
        for _ in range(2):
            asyncio.run(self.watcher.poll(trigger, sweep=True))

    def read_started_keys(self) -> list[str]:
        """Return the keys of all starts, in order."""
        runs = sorted(self.store.open_runs(), key=lambda record: record.run.created_at)
        return [record.environment["S3_KEY"].removeprefix("in/") for record in runs]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[TriggerHarness]:
    harness = TriggerHarness(tmp_path / "project")
    yield harness
    harness.store.close()


def test_existing_files_start_nothing_and_new_files_start_once(harness: TriggerHarness) -> None:
    (harness.folder / "old.csv").write_text("old")
    harness.start_engine()
    harness.poll_twice()
    assert harness.read_started_keys() == []
    (harness.folder / "new.csv").write_text("new")
    (harness.folder / "new.txt").write_text("other suffix")
    (harness.inbox / "new.csv").write_text("other prefix")
    (harness.folder / "deep" / "er").mkdir(parents=True)
    (harness.folder / "deep" / "er" / "x.csv").write_text("below")
    for _ in range(3):
        harness.poll_twice()
    assert sorted(harness.read_started_keys()) == ["deep/er/x.csv", "new.csv"]


def test_a_task_gets_bucket_key_and_version(harness: TriggerHarness) -> None:
    harness.start_engine()
    (harness.folder / "a.csv").write_text("x")
    harness.poll_twice()
    [record] = harness.store.open_runs()
    seen = fingerprint_status((harness.folder / "a.csv").stat())
    token = f"trigger:csv:in/a.csv:{compute_version(harness.folder / 'a.csv', seen)}"
    assert record.token == token
    assert record.run.started_by == "trigger:csv"
    assert record.environment == {
        "S3_BUCKET": "inbox",
        "S3_KEY": "in/a.csv",
        "S3_VERSION": token.split(":")[3],
        "S3_URI": (harness.folder / "a.csv").as_uri(),
    }


def read(uri: str) -> str:
    with storage.open_read(uri) as file:
        return file.read().decode()


def test_the_uri_of_any_key_is_read_by_the_storage_of_jobs(harness: TriggerHarness) -> None:
    names = ["100%25+ä & 'b'.csv", '"q"?#x.csv', "${bucket:inbox}.csv", "line\nbreak\t\\.csv", "\U0001f600 é.csv"]
    harness.start_engine()
    for name in names:
        (harness.folder / name).write_text(name)
    harness.poll_twice()
    found = {record.environment["S3_KEY"]: record.environment["S3_URI"] for record in harness.store.open_runs()}
    assert {read(uri) for uri in found.values()} == set(names)
    assert all(storage.name(uri) == key.partition("/")[2] for key, uri in found.items())


def test_a_workflow_gets_bucket_key_and_version_as_input(harness: TriggerHarness) -> None:
    harness.start_engine()
    (harness.folder / "flow 1.txt").write_text("x")
    harness.poll_twice("flows")
    harness.poll_twice("flows")
    [execution] = harness.store.open_executions()
    assert execution.input.keys() == {"bucket", "key", "version", "uri"}
    assert execution.input["key"] == "in/flow 1.txt"
    assert read(execution.input["uri"]) == "x"


def test_files_written_without_an_engine_are_found_at_the_next_start(harness: TriggerHarness) -> None:
    harness.start_engine()
    (harness.folder / "a.csv").write_text("a")
    harness.poll_twice()
    (harness.folder / "b.csv").write_text("b")
    (harness.folder / "a.csv").write_text("other content")
    harness.start_engine()
    harness.poll_twice()
    harness.start_engine()
    harness.poll_twice()
    assert sorted(harness.read_started_keys()) == ["a.csv", "a.csv", "b.csv"]


def test_a_replaced_file_is_a_new_version_even_with_the_same_time_and_size(harness: TriggerHarness) -> None:
    harness.start_engine()
    file = harness.folder / "a.csv"
    file.write_text("one")
    time_of_all = (1_700_000_000_000_000_000, 1_700_000_000_000_000_000)
    os.utime(file, ns=time_of_all)
    harness.poll_twice()
    file.write_text("two")  # in place: the same inode, size and, after utime, modification time
    os.utime(file, ns=time_of_all)
    harness.poll_twice()
    other = harness.folder / ".tmp"
    other.write_text("six")  # renamed into place
    os.utime(other, ns=time_of_all)
    other.replace(file)
    harness.poll_twice()
    assert harness.read_started_keys() == ["a.csv"] * 3
    assert len({record.token for record in harness.store.open_runs()}) == 3
    other.write_text("six")  # the same content, a new time
    other.replace(file)
    harness.poll_twice()
    file.write_text("six")
    harness.poll_twice()
    assert harness.read_started_keys() == ["a.csv"] * 5


def test_changes_other_than_content_and_time_are_not_a_new_version(harness: TriggerHarness) -> None:
    file, aside = harness.folder / "a.csv", harness.inbox / "aside"
    (harness.folder / "old.csv").write_text("there before the trigger")
    harness.start_engine()
    file.write_text("one")
    harness.poll_twice()
    file.chmod(0o600)
    (harness.folder / "old.csv").chmod(0o600)
    harness.poll_twice()
    (harness.inbox / "link").hardlink_to(file)
    harness.poll_twice()
    file.rename(aside)
    harness.poll_twice()
    aside.rename(file)  # moved away and back
    harness.poll_twice()
    stat = file.stat()
    copy = harness.inbox / "copy"
    copy.write_text("one")  # a copy that preserves the time, as from a backup
    os.utime(copy, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    copy.replace(file)
    harness.poll_twice()
    assert harness.read_started_keys() == ["a.csv"]
    file.touch()  # requests another start
    harness.poll_twice()
    assert harness.read_started_keys() == ["a.csv"] * 2
    (harness.folder / "b.csv").hardlink_to(file)  # another object with the same content
    harness.poll_twice()
    assert harness.read_started_keys() == ["a.csv", "a.csv", "b.csv"]


def test_known_objects_survive_an_unmounted_folder(harness: TriggerHarness) -> None:
    (harness.folder / "old.csv").write_text("old")
    harness.start_engine()
    (harness.folder / "a.csv").write_text("a")
    harness.poll_twice()
    harness.inbox.rename(harness.root / "elsewhere")
    harness.poll_twice()
    harness.inbox.mkdir()
    harness.poll_twice()
    harness.start_engine()
    harness.poll_twice()
    harness.inbox.rmdir()
    (harness.root / "elsewhere").rename(harness.inbox)
    harness.poll_twice()
    harness.start_engine()
    harness.poll_twice()
    assert harness.read_started_keys() == ["a.csv"]
    assert harness.store.gone_objects("csv") == set()


def test_files_written_while_a_trigger_is_disabled_start_nothing(harness: TriggerHarness) -> None:
    harness.start_engine()
    (harness.folder / "a.csv").write_text("a")
    harness.poll_twice()
    harness.set(csv="false")
    harness.start_engine()
    (harness.folder / "b.csv").write_text("b")
    harness.set(csv="true")
    harness.start_engine()
    harness.poll_twice()
    assert harness.read_started_keys() == ["a.csv"]
    (harness.folder / "c.csv").write_text("c")
    harness.poll_twice()
    assert harness.read_started_keys() == ["a.csv", "c.csv"]


def test_a_wider_filter_starts_nothing_for_existing_files(harness: TriggerHarness) -> None:
    harness.start_engine()
    (harness.folder / "a.csv").write_text("came while no engine ran")
    (harness.inbox / "b.csv").write_text("never matched before")
    harness.module.write_text(CATALOG.replace('prefix="in/"', 'prefix=""'))
    sys.modules.pop(harness.module.stem)
    harness.set()
    harness.start_engine()
    harness.poll_twice()
    assert harness.read_started_keys() == ["a.csv"]
    (harness.inbox / "c.csv").write_text("new")
    harness.poll_twice()
    assert harness.read_started_keys() == ["a.csv", "c.csv"]


def test_names_are_used_literally_and_incomplete_or_linked_files_are_ignored(
    harness: TriggerHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.start_engine()
    names = ["with space.csv", "new\nline.csv", "${setting:out}.csv", "$${x}.csv", "-rf .csv", "Füße.csv", "a:b.csv"]
    for name in (*names, "..csv"):
        (harness.folder / name).write_text("x")
    (harness.folder / ".hidden.csv").write_text("x")
    (harness.folder / ".nightferry-0123.csv").write_text("x")
    (harness.folder / ".folder").mkdir()
    (harness.folder / ".folder" / "x.csv").write_text("x")
    (harness.root / "secret.csv").write_text("x")
    (harness.folder / "link.csv").symlink_to(harness.root / "secret.csv")
    (harness.folder / "loop").symlink_to(harness.folder)
    (harness.folder / "out").symlink_to(harness.root)
    os.mkfifo(harness.folder / "fifo.csv")
    (harness.folder / "folder.csv").mkdir()
    Path(os.fsdecode(os.fsencode(harness.folder) + b"/\xff.csv")).write_text("x")
    harness.poll_twice()
    assert sorted(harness.read_started_keys()) == sorted(names)
    assert "not UTF-8" in caplog.text
    for link in ("link.csv", "loop", "out"):
        assert f"{link}' in bucket" in caplog.text
    assert caplog.text.count("it is a symbolic link. Replace it") == 3


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_link_that_replaces_a_file_or_its_folder_starts_nothing(tmp_path: Path, place: str) -> None:
    """The link leads to a file with the same status, so that only the path shows the difference."""
    (tmp_path / "bucket" / "in").mkdir(parents=True)
    file = tmp_path / "bucket" / "in" / "a.csv"
    file.write_text("x")
    moved = file if place == "file" else file.parent
    moved.rename(tmp_path / "outside")
    moved.symlink_to(tmp_path / "outside")
    seen = fingerprint_status(file.stat())
    assert compute_version(file, seen) is None


def test_a_prefix_cannot_lead_out_of_the_bucket(tmp_path: Path) -> None:
    (tmp_path / "bucket" / "in").mkdir(parents=True)
    (tmp_path / "x.csv").write_text("outside")
    for prefix in ("../", "in/../../", "/", "./", str(tmp_path)):
        assert FolderWatch(tmp_path / "bucket", Filter("bucket", prefix, ""), {}).list_files() == {}


def test_a_file_is_processed_after_its_status_has_settled(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path, Filter("bucket", "", ".csv"), {}, settle=2.0)
    file = tmp_path / "a.csv"
    file.write_text("first half")
    assert watch.poll(100.0, sweep=False) == []
    assert watch.poll(101.9, sweep=False) == []
    with file.open("a") as more:
        more.write(", second half")
    assert watch.poll(102.1, sweep=False) == []
    assert watch.poll(104.0, sweep=False) == []
    [(key, fingerprint)] = watch.poll(104.1, sweep=False)
    assert (key, fingerprint.size) == ("a.csv", 23)
    watch.mark_processed(key, fingerprint)
    assert watch.poll(200.0, sweep=True) == []
    file.write_text("over")
    watch.poll(201.0, sweep=True)
    assert [key for key, _ in watch.poll(203.0, sweep=False)] == ["a.csv"]
    file.unlink()
    assert watch.poll(204.0, sweep=False) == []


def test_a_file_open_for_writing_is_processed_after_it_is_closed(harness: TriggerHarness) -> None:
    harness.start_engine()
    file = harness.folder / "slow.csv"
    writer = (
        "import sys; f = open(sys.argv[1], 'w'); f.write('half'); f.flush(); print('ok', flush=True); sys.stdin.read()"
    )
    with forked.Popen(
        [sys.executable, "-c", writer, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ok\n"
        with pytest.raises(BeingWritten):
            compute_version(file, fingerprint_status(file.stat()))
        harness.poll_twice()
        harness.poll_twice()
        assert harness.read_started_keys() == []
        process.communicate(b"")
    harness.poll_twice()
    assert harness.read_started_keys() == ["slow.csv"]
    with file.open():  # readers do not matter
        assert compute_version(file, fingerprint_status(file.stat())) is not None


def test_a_file_that_has_changed_has_no_version(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("x")
    seen = fingerprint_status(file.stat())
    file.write_text("longer")
    assert compute_version(file, seen) is None
    file.unlink()
    assert compute_version(file, seen) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_reported_and_retried(harness: TriggerHarness, caplog: pytest.LogCaptureFixture) -> None:
    harness.start_engine()
    file = harness.folder / "a.csv"
    file.write_text("x")
    file.chmod(0)
    harness.poll_twice()
    assert harness.read_started_keys() == []
    assert "cannot be read" in caplog.text


operations = st.lists(
    st.tuples(
        st.sampled_from(["write", "rename", "touch", "chmod", "delete", "aside", "back", "restart"]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["", "x", "yy"]),
    ),
    max_size=12,
)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations)
def test_each_version_starts_once(tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, str, str]]) -> None:
    """Compare with a model in which a version is a file's modification time and content."""
    harness = TriggerHarness(tmp_path_factory.mktemp("model") / "project")
    harness.start_engine()
    expected: set[tuple[str, int, str]] = set()
    tick = 1_700_000_000_000_000_000
    for action, name, content in drawn:
        file, aside = harness.folder / f"{name}.csv", harness.inbox / f"{name}.aside"
        tick += 1_000_000 if content else 0  # empty content reuses the previous time
        if action in ("write", "rename"):
            target = file if action == "write" else harness.folder / ".unfinished"
            target.write_text(content)
            os.utime(target, ns=(tick, tick))
            target.replace(file)
        elif action == "touch" and file.exists():
            os.utime(file, ns=(tick, tick))
        elif action == "chmod" and file.exists():
            file.chmod(0o640)
        elif action == "delete":
            file.unlink(missing_ok=True)
        elif action == "aside" and file.exists():
            file.replace(aside)
        elif action == "back" and aside.exists():
            aside.replace(file)
        elif action == "restart":
            harness.start_engine()
        harness.poll_twice()
        for one in harness.folder.glob("[!.]*.csv"):
            expected.add((one.name, one.stat().st_mtime_ns, one.read_text()))
    assert len(harness.read_started_keys()) == len(expected)
    harness.store.close()


PROGRAM = """
import asyncio, sys
from pathlib import Path
from nightferry.local.engine.engine import Engine
from nightferry.local.engine.engine_lock import lock
from nightferry.local.triggers.object_triggers import ObjectTriggers
from nightferry.local.services.services import Services
from nightferry.local.runs.starts import Starter
from nightferry.environments.project import Project

project = Project.find(Path(sys.argv[1]))
environment = project.environment("local")
with lock(project.state), Services(project.catalog, environment, project.state) as services:
    engine = Engine(project.catalog, environment, project.state, services)
    starter = Starter(engine.store, project.catalog, services.resolve)
    folder = services.resolve.get_bucket_folder
    engine.components = [
        ObjectTriggers(engine.store, starter, project.catalog, environment, folder, settle=0.05, poll=0.02)
    ]
    print("ready", flush=True)
    asyncio.run(engine.work(lambda: False))
"""


def test_each_file_starts_its_task_once_across_kill_9(harness: TriggerHarness) -> None:
    files = 40 if LONG else 20

    def engine() -> subprocess.Popen[bytes]:
        process = forked.Popen(
            [sys.executable, "-c", PROGRAM, str(harness.root)], stdout=subprocess.PIPE, cwd=harness.root
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    process = engine()
    for number in range(files):
        unfinished = harness.folder / f".{number}"
        unfinished.write_text(f"content {number}")
        unfinished.rename(harness.folder / f"{number}.csv")
        if number % 10 == 9:
            time.sleep(0.03 * (number // 10))  # varies the moment of the kill
            process.kill()
            process.communicate()
            process = engine()
    deadline = time.monotonic() + 120
    wanted = StartFilter("trigger:csv")
    while len(starts := harness.store.starts(wanted, limit=1000)) < files and time.monotonic() < deadline:
        time.sleep(0.1)
    while harness.store.open_runs() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert sorted(str(start.object) for start in starts) == sorted(f"in/{n}.csv" for n in range(files))
    assert len(harness.store.runs(RunFilter(task="take"), limit=1000)) == files


def test_a_backend_with_object_triggers_runs_the_started_tasks(harness: TriggerHarness) -> None:
    harness.start_engine()  # records the triggers, so that later files are new
    (harness.folder / "${setting:out} $(id)\n.csv").write_text("x")
    backend = LocalBackend(harness.project, harness.environment, objects=True)
    asyncio.run(asyncio.wait_for(backend.work(harness.out.exists), timeout=120))
    bucket, key, _version, _ = harness.out.read_text().split("\0")
    assert (bucket, key) == ("inbox", "in/${setting:out} $(id)\n.csv")
    backend.store.close()
