"""Object triggers on real folders: what starts, what does not, what is waited for, and once each across kill -9."""

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

from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.runs.starts import Starter
from nightferry.local.services.services import Services
from nightferry.local.store import Filter, Store
from nightferry.local.triggers.object_content import BeingWritten, compute_version, fingerprint_status
from nightferry.local.triggers.object_folder import FolderWatch
from nightferry.local.triggers.object_triggers import ObjectTriggers
from nightferry.testing import forked
from nightferry.testing.tiers import examples

CATALOG = """
from pydantic import BaseModel
from nightferry import Catalog, Image
from nightferry.states.builder import RunTask, Sequence

class Settings(BaseModel):
    "A shell command."

catalog = Catalog("watched", image=Image("watched"))
inbox = catalog.bucket("inbox")
out = catalog.setting("out", default="/dev/null")
script = 'printf "%s\\\\0%s\\\\0%s\\\\0" "$S3_BUCKET" "$S3_KEY" "$S3_VERSION" >> "$0"'
take = catalog.task("take", config=Settings, command=["sh", "-c", script, str(out)])
flow = catalog.workflow("flow", Sequence(RunTask(take)))
catalog.object_trigger("csv", take, bucket=inbox, prefix="in/", suffix=".csv",
                       enabled=catalog.setting("csv", default=True))
catalog.object_trigger("flows", flow, bucket=inbox, prefix="in/flow", suffix=".txt", via="eventbridge")
"""


class Place:
    """A project with its bucket, and the watcher as it would be in one engine after the other."""

    def __init__(self, root: Path, **settings: str) -> None:
        module = f"watched_{abs(hash(str(root))):x}"
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

    def engine_starts(self) -> None:
        """The next engine takes over."""
        services = Services(self.project.catalog, self.environment, self.project.state)
        starter = Starter(self.store, self.project.catalog, services.resolve)
        self.watcher = ObjectTriggers(
            self.store, starter, self.project.catalog, self.environment, services.resolve.bucket, settle=0
        )

    def looks(self, trigger: str = "csv") -> None:
        """Two looks: the first sees what is new, by the second it has settled."""
        for _ in range(2):
            asyncio.run(self.watcher.poll(trigger, sweep=True))

    def started(self) -> list[str]:
        """The keys of all starts, in their order."""
        runs = sorted(self.store.open_runs(), key=lambda record: record.run.created_at)
        return [record.environment["S3_KEY"].removeprefix("in/") for record in runs]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "project")
    yield place
    place.store.close()


def test_what_is_there_already_starts_nothing_and_what_comes_starts_once(place: Place) -> None:
    (place.folder / "old.csv").write_text("old")
    place.engine_starts()
    place.looks()
    assert place.started() == []
    (place.folder / "new.csv").write_text("new")
    (place.folder / "new.txt").write_text("other suffix")
    (place.inbox / "new.csv").write_text("other prefix")
    (place.folder / "deep" / "er").mkdir(parents=True)
    (place.folder / "deep" / "er" / "x.csv").write_text("below")
    for _ in range(3):
        place.looks()
    assert sorted(place.started()) == ["deep/er/x.csv", "new.csv"]


def test_a_task_gets_the_objects_bucket_key_and_version(place: Place) -> None:
    place.engine_starts()
    (place.folder / "a.csv").write_text("x")
    place.looks()
    [record] = place.store.open_runs()
    seen = fingerprint_status((place.folder / "a.csv").stat())
    token = f"trigger:csv:in/a.csv:{compute_version(place.folder / 'a.csv', seen)}"
    assert record.token == token
    assert record.run.started_by == "trigger:csv"
    assert record.environment == {"S3_BUCKET": "inbox", "S3_KEY": "in/a.csv", "S3_VERSION": token.split(":")[3]}


def test_a_workflow_gets_them_as_its_input(place: Place) -> None:
    place.engine_starts()
    (place.folder / "flow 1.txt").write_text("x")
    place.looks("flows")
    place.looks("flows")
    [execution] = place.store.open_executions()
    assert execution.input.keys() == {"bucket", "key", "version"}
    assert execution.input["key"] == "in/flow 1.txt"


def test_what_comes_while_no_engine_runs_is_found_at_the_next_start(place: Place) -> None:
    place.engine_starts()
    (place.folder / "a.csv").write_text("a")
    place.looks()
    (place.folder / "b.csv").write_text("b")
    (place.folder / "a.csv").write_text("other content")
    place.engine_starts()
    place.looks()
    place.engine_starts()
    place.looks()
    assert sorted(place.started()) == ["a.csv", "a.csv", "b.csv"]


def test_replacing_is_a_new_version_whatever_its_time_and_size_say(place: Place) -> None:
    place.engine_starts()
    file = place.folder / "a.csv"
    file.write_text("one")
    time_of_all = (1_700_000_000_000_000_000, 1_700_000_000_000_000_000)
    os.utime(file, ns=time_of_all)
    place.looks()
    file.write_text("two")  # in place: the same inode, size and, by utime, modification time
    os.utime(file, ns=time_of_all)
    place.looks()
    other = place.folder / ".tmp"
    other.write_text("six")  # renamed into place
    os.utime(other, ns=time_of_all)
    other.replace(file)
    place.looks()
    assert place.started() == ["a.csv"] * 3
    assert len({record.token for record in place.store.open_runs()}) == 3
    other.write_text("six")  # the same content, a new time
    other.replace(file)
    place.looks()
    file.write_text("six")
    place.looks()
    assert place.started() == ["a.csv"] * 5


def test_what_leaves_content_and_time_as_they_are_is_no_new_version(place: Place) -> None:
    file, aside = place.folder / "a.csv", place.inbox / "aside"
    (place.folder / "old.csv").write_text("there before the trigger")
    place.engine_starts()
    file.write_text("one")
    place.looks()
    file.chmod(0o600)
    (place.folder / "old.csv").chmod(0o600)
    place.looks()
    (place.inbox / "link").hardlink_to(file)
    place.looks()
    file.rename(aside)
    place.looks()
    aside.rename(file)  # moved away and back
    place.looks()
    stat = file.stat()
    copy = place.inbox / "copy"
    copy.write_text("one")  # a copy that keeps the time, as from a backup
    os.utime(copy, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    copy.replace(file)
    place.looks()
    assert place.started() == ["a.csv"]
    file.touch()  # says: once more
    place.looks()
    assert place.started() == ["a.csv"] * 2
    (place.folder / "b.csv").hardlink_to(file)  # another object of the same content
    place.looks()
    assert place.started() == ["a.csv", "a.csv", "b.csv"]


def test_an_unmounted_folder_forgets_nothing(place: Place) -> None:
    (place.folder / "old.csv").write_text("old")
    place.engine_starts()
    (place.folder / "a.csv").write_text("a")
    place.looks()
    place.inbox.rename(place.root / "elsewhere")
    place.looks()
    place.inbox.mkdir()
    place.looks()
    place.engine_starts()
    place.looks()
    place.inbox.rmdir()
    (place.root / "elsewhere").rename(place.inbox)
    place.looks()
    place.engine_starts()
    place.looks()
    assert place.started() == ["a.csv"]
    assert place.store.gone_objects("csv") == set()


def test_what_comes_while_a_trigger_is_switched_off_starts_nothing_later(place: Place) -> None:
    place.engine_starts()
    (place.folder / "a.csv").write_text("a")
    place.looks()
    place.set(csv="false")
    place.engine_starts()
    (place.folder / "b.csv").write_text("b")
    place.set(csv="true")
    place.engine_starts()
    place.looks()
    assert place.started() == ["a.csv"]
    (place.folder / "c.csv").write_text("c")
    place.looks()
    assert place.started() == ["a.csv", "c.csv"]


def test_a_wider_filter_starts_nothing_for_what_only_it_matches(place: Place) -> None:
    place.engine_starts()
    (place.folder / "a.csv").write_text("came while no engine ran")
    (place.inbox / "b.csv").write_text("never matched before")
    place.module.write_text(CATALOG.replace('prefix="in/"', 'prefix=""'))
    sys.modules.pop(place.module.stem)
    place.set()
    place.engine_starts()
    place.looks()
    assert place.started() == ["a.csv"]
    (place.inbox / "c.csv").write_text("new")
    place.looks()
    assert place.started() == ["a.csv", "c.csv"]


def test_names_are_taken_as_they_are_and_unfinished_or_foreign_ones_never(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.engine_starts()
    names = ["with space.csv", "new\nline.csv", "${setting:out}.csv", "$${x}.csv", "-rf .csv", "Füße.csv", "a:b.csv"]
    for name in (*names, "..csv"):
        (place.folder / name).write_text("x")
    (place.folder / ".hidden.csv").write_text("x")
    (place.folder / ".nightferry-0123.csv").write_text("x")
    (place.folder / ".folder").mkdir()
    (place.folder / ".folder" / "x.csv").write_text("x")
    (place.root / "secret.csv").write_text("x")
    (place.folder / "link.csv").symlink_to(place.root / "secret.csv")
    (place.folder / "loop").symlink_to(place.folder)
    (place.folder / "out").symlink_to(place.root)
    os.mkfifo(place.folder / "fifo.csv")
    (place.folder / "folder.csv").mkdir()
    Path(os.fsdecode(os.fsencode(place.folder) + b"/\xff.csv")).write_text("x")
    place.looks()
    assert sorted(place.started()) == sorted(names)
    assert "not UTF-8" in caplog.text


def test_a_prefix_cannot_lead_out_of_the_bucket(tmp_path: Path) -> None:
    (tmp_path / "bucket" / "in").mkdir(parents=True)
    (tmp_path / "x.csv").write_text("outside")
    for prefix in ("../", "in/../../", "/", "./", str(tmp_path)):
        assert FolderWatch(tmp_path / "bucket", Filter("bucket", prefix, ""), {}).list_files() == {}


def test_a_file_is_taken_when_it_has_looked_the_same_for_long_enough(tmp_path: Path) -> None:
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


def test_a_file_that_a_process_has_open_for_writing_is_waited_for(place: Place) -> None:
    place.engine_starts()
    file = place.folder / "slow.csv"
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
        place.looks()
        place.looks()
        assert place.started() == []
        process.communicate(b"")
    place.looks()
    assert place.started() == ["slow.csv"]
    with file.open():  # whoever reads is no reason to wait
        assert compute_version(file, fingerprint_status(file.stat())) is not None


def test_a_file_that_changes_while_it_is_read_has_no_version(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("x")
    seen = fingerprint_status(file.stat())
    file.write_text("longer")
    assert compute_version(file, seen) is None
    file.unlink()
    assert compute_version(file, seen) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_told_and_waited_for(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.engine_starts()
    file = place.folder / "a.csv"
    file.write_text("x")
    file.chmod(0)
    place.looks()
    assert place.started() == []
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
def test_each_version_starts_once_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, str, str]]
) -> None:
    """Against a model: a version is a file's modification time and content."""
    place = Place(tmp_path_factory.mktemp("model") / "project")
    place.engine_starts()
    expected: set[tuple[str, int, str]] = set()
    tick = 1_700_000_000_000_000_000
    for what, name, content in drawn:
        file, aside = place.folder / f"{name}.csv", place.inbox / f"{name}.aside"
        tick += 1_000_000 if content else 0  # an empty content comes at the time of the one before
        if what in ("write", "rename"):
            target = file if what == "write" else place.folder / ".unfinished"
            target.write_text(content)
            os.utime(target, ns=(tick, tick))
            target.replace(file)
        elif what == "touch" and file.exists():
            os.utime(file, ns=(tick, tick))
        elif what == "chmod" and file.exists():
            file.chmod(0o640)
        elif what == "delete":
            file.unlink(missing_ok=True)
        elif what == "aside" and file.exists():
            file.replace(aside)
        elif what == "back" and aside.exists():
            aside.replace(file)
        elif what == "restart":
            place.engine_starts()
        place.looks()
        for one in place.folder.glob("[!.]*.csv"):
            expected.add((one.name, one.stat().st_mtime_ns, one.read_text()))
    assert len(place.started()) == len(expected)
    place.store.close()


KILLED = """
import asyncio, sys
from pathlib import Path
from nightferry.local.engine.engine import Engine, lock
from nightferry.local.triggers.object_triggers import ObjectTriggers
from nightferry.local.services.services import Services
from nightferry.local.runs.starts import Starter
from nightferry.environments.project import Project

project = Project.find(Path(sys.argv[1]))
environment = project.environment("local")
with lock(project.state), Services(project.catalog, environment, project.state) as services:
    engine = Engine(project.catalog, environment, project.state, services)
    starter = Starter(engine.store, project.catalog, services.resolve)
    engine.components = [ObjectTriggers(engine.store, starter, project.catalog, environment, services.resolve.bucket,
                                        settle=0.05, poll=0.02)]
    print("ready", flush=True)
    asyncio.run(engine.work(lambda: False))
"""


def test_each_file_starts_its_task_once_across_kill_9(place: Place) -> None:
    files = 40

    def engine() -> subprocess.Popen[bytes]:
        process = forked.Popen([sys.executable, "-c", KILLED, str(place.root)], stdout=subprocess.PIPE, cwd=place.root)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    process = engine()
    for number in range(files):
        unfinished = place.folder / f".{number}"
        unfinished.write_text(f"content {number}")
        unfinished.rename(place.folder / f"{number}.csv")
        if number % 10 == 9:
            time.sleep(0.03 * (number // 10))  # so that it is killed at other moments each time
            process.kill()
            process.communicate()
            process = engine()
    deadline = time.monotonic() + 120
    while len(starts := place.store.starts("trigger:csv", limit=1000)) < files and time.monotonic() < deadline:
        time.sleep(0.1)
    while place.store.open_runs() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert sorted(start.token.split(":")[2] for start in starts) == sorted(f"in/{n}.csv" for n in range(files))
    assert len(place.store.runs("take", None, 1000)) == files


def test_a_backend_that_looks_after_objects_runs_what_they_start(place: Place) -> None:
    place.engine_starts()  # from now on the triggers are known, and what comes is new to the next engine
    (place.folder / "${setting:out} $(id)\n.csv").write_text("x")
    backend = LocalBackend(place.project, place.environment, objects=True)
    asyncio.run(asyncio.wait_for(backend.work(place.out.exists), timeout=120))
    bucket, key, _version, _ = place.out.read_text().split("\0")
    assert (bucket, key) == ("inbox", "in/${setting:out} $(id)\n.csv")
    backend.store.close()
