"""Objects are copied completely, once, and only to their target, also after failures and crashes."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nightferry import BadSettings, JobFailed, Run, storage
from nightferry.credentials import aws_session
from nightferry.job import command_line
from nightferry.job.runtime import Runtime
from nightferry.storage import Storage
from nightferry.testing import forked
from paidleave.exchange.bucket_tool import Mover, main
from paidleave.exchange.selection import find_name_problem, select_objects
from paidleave.exchange.settings import BucketToolSettings
from paidleave.exchange.storages import Storages
from tests.exchange.aws_proxy import AccessRules
from tests.exchange.conftest import build_command, build_environment, open_vendor_storage, run, vendor_settings

pytestmark = pytest.mark.sampled(8)

TOOL = "paidleave.exchange.bucket_tool"
PART = 8 << 20
OBJECTS = {
    "2026-01-05-20-00-00-VBI_REQUESTEDABSENCE.csv": b"a,b\n1,2\n",
    "plain é+%20&.txt": b"text",
    "empty": b"",
    "sub/2026-01-06-01-02-03-Employees.csv": b"x" * 1000,
    "sub/deeper/d": b"deep",
}
LARGE = {"large.bin": bytes(range(256)) * (PART // 256) + b"more than one part"}
TOP_LEVEL = [name for name in OBJECTS if "/" not in name]


def put(folder: str, objects: dict[str, bytes], place: Storage | None = None) -> None:
    place = place or storage.session()
    for name, data in objects.items():
        with place.open_write(storage.join(folder, *name.split("/"))) as file:
            file.write(data)


def read_folder(folder: str, place: Storage | None = None) -> dict[str, bytes]:
    place = place or storage.session()
    found = {}
    for one in place.walk(folder):
        with place.open_read(one.uri) as file:
            found[one.name] = file.read()
    return found


def run_here(**values: Any) -> Counter[str]:
    """Run the tool in this process and return the number of objects by outcome. Raises JobFailed."""
    settings = BucketToolSettings(**values)
    storages = Storages(settings)
    assert settings.from_path is not None
    origin = storages.select(settings.from_path)
    mover = Mover(settings, storages, origin, Run(Runtime.read("fineos-bucket-tool", {})))
    mover.process(select_objects(settings, origin))
    return Counter({str(name): count for name, count in mover.counts.objects.items()})


Route = tuple[str, str, Storage | None, dict[str, str]]


@pytest.fixture(params=["folder to folder", "folder to s3", "s3 to folder", "s3 to s3", "vendor to ours"])
def route(request: pytest.FixtureRequest, tmp_path: Path) -> Route:
    """Return the source, the target, the storage with access to the source, and further settings."""
    if request.param == "vendor to ours":
        vendors = request.getfixturevalue("vendors")
        settings = {name.lower(): value for name, value in vendor_settings(vendors).items()}
        return f"{vendors}/IDT/out", f"{request.getfixturevalue('ours')}/in", open_vendor_storage(), settings
    source, _, target = request.param.partition(" to ")
    places = []
    for number, kind in enumerate((source, target)):
        places.append(
            f"{request.getfixturevalue('ours')}/place {number}" if kind == "s3" else (tmp_path / f"{number} ü").as_uri()
        )
    return places[0], places[1], None, {}


def test_all_objects_are_copied_and_a_second_run_copies_nothing(route: Route) -> None:
    source, target, place, more = route
    objects = OBJECTS | LARGE
    put(source, objects, place)
    assert run_here(from_path=source, to_path=target, recursive=True, **more) == {"copied": 6}
    assert read_folder(target) == objects
    assert read_folder(source, place) == objects
    assert run_here(from_path=source, to_path=target, recursive=True, **more) == {"already copied": 6}
    # The second one keeps its length, so that only its content differs.
    put(source, {"empty": b"no longer", "plain é+%20&.txt": b"TEXT"}, place)
    assert run_here(from_path=source, to_path=target, recursive=True, **more) == {"already copied": 4, "copied": 2}
    assert read_folder(target) == read_folder(source, place)


def test_a_move_deletes_the_source(route: Route) -> None:
    source, target, place, more = route
    put(source, OBJECTS, place)
    put(target, {"empty": b""})
    put(target, {"empty ": b""})
    run_here(from_path=source, to_path=target, recursive=True, action="move", **more)
    assert read_folder(source, place) == {}
    assert read_folder(target) == OBJECTS | {"empty ": b""}


def test_without_recursive_only_top_level_objects_are_copied(route: Route) -> None:
    source, target, place, more = route
    put(source, OBJECTS, place)
    assert run_here(from_path=source, to_path=target, **more) == {"copied": 3}
    assert sorted(read_folder(target)) == sorted(TOP_LEVEL)


def test_one_object_to_a_name_or_into_a_folder(route: Route) -> None:
    source, target, place, more = route
    put(source, OBJECTS, place)
    one = storage.join(source, "empty")
    run_here(from_path=one, to_path=storage.join(target, "config", "config.json"), **more)
    run_here(from_path=one, to_path=storage.join(target, "config") + "/", **more)
    assert read_folder(target) == {"config/config.json": b"", "config/empty": b""}


def test_dated_folders_and_prefixes(tmp_path: Path) -> None:
    put(f"{tmp_path}/a", {**OBJECTS, "2026-02-30-00-00-00-no-date.csv": b"", "2026-03-01/VBI_x.csv": b""})
    run_here(
        from_path=f"{tmp_path}/a", to_path=f"{tmp_path}/b", recursive=True, dated_folders=True, file_prefixes="VBI_, E"
    )
    assert sorted(read_folder(f"{tmp_path}/b")) == [
        "2026-01-05-20-00-00/2026-01-05-20-00-00-VBI_REQUESTEDABSENCE.csv",
        "2026-03-01/VBI_x.csv",
        "sub/2026-01-06-01-02-03-Employees.csv",
    ]
    (undated,) = [one for one in storage.list_objects(f"{tmp_path}/a") if one.name == "2026-02-30-00-00-00-no-date.csv"]
    run_here(from_path=undated.uri, to_path=f"{tmp_path}/c/")
    run_here(from_path=f"{tmp_path}/a", to_path=f"{tmp_path}/d", dated_folders=True, file_prefixes="2026-02")
    assert sorted(read_folder(f"{tmp_path}/d")) == [f"{undated.modified:%Y-%m-%d-%H-%M-%S}/{undated.name}"]


def move(source: str, target: str) -> None:
    found = storage.describe(source)
    assert found is not None
    storage.move(source, target, version=found.version)


def test_archived_objects_are_not_copied_again_unless_they_change(route: Route) -> None:
    source, target, place, more = route
    put(source, {"errors.csv": b"one"}, place)
    folders = {"from_path": source, "to_path": target + "/received", "archive_path": target + "/processed"}
    run_here(**folders, **more)
    move(target + "/received/errors.csv", target + "/processed/errors.csv")
    assert run_here(**folders, **more) == {"already copied": 1}
    put(source, {"errors.csv": b"two"}, place)
    assert run_here(**folders, **more) == {"copied": 1}
    move(target + "/received/errors.csv", target + "/processed/errors.csv.2")
    assert run_here(**folders, **more) == {"already copied": 1}
    assert read_folder(target) == {"processed/errors.csv": b"one", "processed/errors.csv.2": b"two"}


@pytest.mark.parametrize("action", ["copy", "move"])
def test_a_dry_run_changes_nothing(route: Route, action: str) -> None:
    source, target, place, more = route
    put(source, OBJECTS, place)
    counts = run_here(from_path=source, to_path=target, recursive=True, report_only=True, action=action, **more)
    assert counts == {"would be copied": 5}
    assert read_folder(source, place) == OBJECTS
    assert read_folder(target) == {}


HOSTILE = ["../evil", "a/../../evil", "/evil", "a//b", "./b", ".nightferry-hidden", "a/.nightferry-x"]


def test_hostile_keys_are_refused_and_the_others_copied(ours: str, tmp_path: Path) -> None:
    client = aws_session().client("s3")
    for key in HOSTILE:
        client.put_object(Bucket=ours.removeprefix("s3://"), Key=f"in/{key}", Body=b"evil")
    put(f"{ours}/in", {"good": b"good"})
    target = tmp_path / "deep" / "target"
    result = run(TOOL, {"FROM_PATH": f"{ours}/in", "TO_PATH": str(target), "RECURSIVE": "true"})
    assert result.code == 1
    assert result.error.startswith(f"{len(HOSTILE)} of {len(HOSTILE) + 1} objects could not be copied")
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()] == ["deep/target/good"]
    assert result.event("summary")["refused"] == len(HOSTILE)


def test_names_with_control_characters_are_refused() -> None:
    assert not find_name_problem("ü b/c.csv")
    assert all(map(find_name_problem, ["line\nbreak", "nul\0", "\udcff", *HOSTILE]))


def test_a_name_that_is_both_object_and_folder_does_not_stop_the_others(ours: str, tmp_path: Path) -> None:
    put(f"{ours}/in", {"a": b"1", "a/b": b"2", "c": b"3"})
    with pytest.raises(JobFailed, match="1 of 3 objects could not be copied"):
        run_here(from_path=f"{ours}/in", to_path=str(tmp_path), recursive=True, parallel=1)
    assert read_folder(str(tmp_path)).items() >= {"c": b"3"}.items()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "FROM_PATH (or --from-path) is not set"),
        ({"from_path": "/a"}, "TO_PATH (or --to-path) is not set; set it to the location to copy to"),
        ({"from_path": "a/b", "to_path": "/b"}, "'a/b' is not a location"),
        ({"from_path": "/a/../b", "to_path": "/c"}, "contains '.' or '..'"),
        ({"from_path": "s3://", "to_path": "/c"}, "has no bucket"),
        ({"from_path": "/a", "to_path": "file:///a/", "action": "move"}, "must not contain each other"),
        ({"from_path": "s3://x/a", "to_path": "s3://x/a/b", "recursive": "true"}, "must not contain each other"),
        ({"from_path": "s3://x/", "to_path": "s3://x/a", "recursive": "true"}, "must not contain each other"),
        ({"from_path": "/a", "to_path": "/b", "file_prefixes": "a,,b"}, "contains an empty prefix"),
        ({"from_path": "/a", "to_path": "/b", "action": "sync"}, "'copy', 'move' or 'list'"),
        ({"from_path": "/a", "to_path": "/b", "parallel": "0"}, "greater than or equal to 1"),
        ({"from_path": "/a", "to_path": "/b", "fineos_aws_iam_role_arn": "x"}, "EXTERNAL_ID must be set"),
        (
            {
                "from_path": "/a",
                "to_path": "/b",
                "fineos_aws_iam_role_arn": "x",
                "fineos_aws_iam_role_external_id": "y",
            },
            "FINEOS_LOCATIONS must name the vendor's buckets",
        ),
    ],
)
def test_invalid_settings_are_named(settings: dict[str, str], message: str) -> None:
    arguments = [f"{command_line.format_option(name)}={value}" for name, value in settings.items()]
    with pytest.raises(BadSettings) as raised:
        command_line.load_settings("fineos-bucket-tool", BucketToolSettings, arguments)
    assert message in str(raised.value)


def test_a_move_to_a_symbolic_link_to_its_own_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    with pytest.raises(ValueError, match="must not contain each other"):
        BucketToolSettings(from_path=f"{tmp_path}/real", to_path=f"{tmp_path}/alias", action="move")


def test_too_few_objects_fail(tmp_path: Path) -> None:
    settings = {"FROM_PATH": str(tmp_path / "nowhere"), "TO_PATH": str(tmp_path / "b")}
    assert run(TOOL, settings).code == 0
    result = run(TOOL, settings, "--expected-objects=1")
    assert (result.code, result.error.partition(" found")[0]) == (1, "0 objects")


def test_a_list_shows_name_size_and_time(tmp_path: Path) -> None:
    put(str(tmp_path), OBJECTS | {"fineos/dataexports/2026-11-25/2026-11-25-04-38-00-EmployeeDataLoad.csv": b""})
    result = run(TOOL, {"FROM_PATH": str(tmp_path), "ACTION": "list"}, "--recursive")
    listed = {line["message"]: line["size_bytes"] for line in result.lines if line.get("event") == "object"}
    assert listed.pop("fineos/dataexports/2026-11-25/2026-11-25-04-38-00-EmployeeDataLoad.csv") == 0
    assert listed == {name: len(data) for name, data in OBJECTS.items()}
    assert result.event("summary")["size_bytes"] == sum(map(len, OBJECTS.values()))


def test_a_missing_bucket_is_named(ours: str, tmp_path: Path) -> None:
    result = run(TOOL, {"FROM_PATH": f"{ours}-not/in", "TO_PATH": str(tmp_path)})
    assert (result.code, result.error) == (1, f"Bucket of {ours}-not/in not found.")
    for number in range(30):
        put(f"{tmp_path}/many", {f"{number}": b""})
    result = run(TOOL, {"FROM_PATH": f"{tmp_path}/many", "TO_PATH": f"{ours}-not/in"})
    assert (result.code, result.error.partition(";")[0]) == (1, "20 consecutive objects could not be copied")


# ── the vendor's role ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_role_is_used_for_the_vendors_bucket_only_and_renewed(access: AccessRules, ours: str, vendors: str) -> None:
    """The proxy refuses all other access; here each key of the role expires after a few requests."""
    access.lifetime, access.uses = timedelta(minutes=5), 8
    objects = {f"{number}.csv": b"x" * number for number in range(8)}
    put(f"{vendors}/out", objects, open_vendor_storage())
    role = {name.lower(): value for name, value in vendor_settings(vendors).items()}
    assert run_here(from_path=f"{vendors}/out", to_path=f"{ours}/in", **role) == {"copied": 8}
    assert read_folder(f"{ours}/in") == objects
    assert run_here(from_path=f"{ours}/in", to_path=f"{vendors}/back", **role) == {"copied": 8}
    assert read_folder(f"{vendors}/back", open_vendor_storage()) == objects
    assert len(access.keys) > 2


def test_a_wrong_external_id_is_reported_once(ours: str, vendors: str) -> None:
    settings = vendor_settings(vendors) | {"FINEOS_AWS_IAM_ROLE_EXTERNAL_ID": "another"}
    result = run(TOOL, {"FROM_PATH": f"{vendors}/out", "TO_PATH": f"{ours}/in", **settings})
    assert result.code == 1
    assert "Cannot assume role" in result.error
    assert "(AccessDenied)" in result.error


def test_s3_copies_objects_within_one_account(access: AccessRules, ours: str) -> None:
    put(f"{ours}/a", {"x": b"content"})
    access.requests.clear()
    run_here(from_path=f"{ours}/a", to_path=f"{ours}/b")
    assert not [request for request in access.requests if request.startswith("GET") and "/a/x" in request]
    assert read_folder(f"{ours}/b") == {"x": b"content"}


# ── corruption, kills and stops ───────────────────────────────────────────────────────────────────────────────


def test_an_object_corrupted_in_transit_is_not_stored_and_its_source_stays(
    access: AccessRules, ours: str, tmp_path: Path
) -> None:
    put(f"{ours}/a", {"good": b"good", "corrupt": b"corrupt"})
    access.corrupt_object = "/a/corrupt"
    with pytest.raises(JobFailed, match="1 of 2 objects could not be moved"):
        run_here(from_path=f"{ours}/a", to_path=str(tmp_path), action="move")
    assert read_folder(str(tmp_path)) == {"good": b"good"}
    access.corrupt_object = ""
    run_here(from_path=f"{ours}/a", to_path=str(tmp_path), action="move")
    assert read_folder(str(tmp_path)) == {"good": b"good", "corrupt": b"corrupt"}


def start(settings: dict[str, Any], *arguments: str) -> subprocess.Popen[bytes]:
    return forked.Popen([*build_command(TOOL), *arguments], env=build_environment(settings), stdout=subprocess.DEVNULL)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while not condition() and process.poll() is None:
        time.sleep(0.005)


@pytest.mark.parametrize("action", ["copy", "move"])
def test_a_repeatedly_killed_copy_completes(tmp_path: Path, action: str) -> None:
    objects = {f"{number % 7}/{number}": bytes([number % 251]) * (number * 997 % 300_000) for number in range(120)}
    source, target = tmp_path / "a", tmp_path / "b"
    put(str(source), objects)
    settings = {"FROM_PATH": source, "TO_PATH": target, "RECURSIVE": "true", "ACTION": action, "PARALLEL": 2}
    for kill in range(1, 4):
        process = start(settings)
        wait_until(lambda: sum(1 for _ in storage.walk(str(target))) >= 30 * kill, process)  # noqa: B023 - used at once
        process.kill()
        process.wait()
        arrived = read_folder(str(target))
        assert arrived.items() <= objects.items()
        assert arrived | read_folder(str(source)) == objects
    assert start(settings).wait() == 0
    assert read_folder(str(target)) == objects
    assert read_folder(str(source)) == (objects if action == "copy" else {})


def test_a_stop_ends_a_large_copy_at_once_and_leaves_no_files(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.mkdir()
    with (source / "huge").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file, too large for the copy to complete
    process = start({"FROM_PATH": source, "TO_PATH": target})
    wait_until(lambda: any(file.stat().st_size > PART for file in target.glob(".nightferry-*")), process)
    process.terminate()
    assert process.wait(60) == 143
    assert list(target.iterdir()) == []


def test_the_task_has_its_declared_name_and_settings() -> None:
    assert (main.name, main.settings) == ("fineos-bucket-tool", BucketToolSettings)
