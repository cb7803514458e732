"""Extracts become partitions, once, whole and with an account, whatever happens on the way."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from nightferry import storage
from tests.exchange.conftest import as_vendor, command, environment, run, vendor_storage

TOOL = "paidleave.exchange.warehouse"
CASES = b'ID,NAME\n007,"Ann\nB"\n8,\n'


class World:
    """Extracts and a warehouse in two folders."""

    def __init__(self, folder: Path) -> None:
        self.extracts, self.warehouse = folder / "extracts", folder / "warehouse"
        self.settings: dict[str, Any] = {"EXTRACTS_PATH": self.extracts, "WAREHOUSE_PATH": self.warehouse}

    def put(self, name: str, data: bytes) -> None:
        with storage.open_write(f"{self.extracts}/{name}") as file:
            file.write(data)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of each partition."""
        found: dict[str, list[dict[str, Any]]] = {}
        for file in sorted(self.warehouse.rglob("*.parquet")):
            partition = str(file.parent.relative_to(self.warehouse))
            found.setdefault(partition, []).extend(pq.ParquetFile(file).read().to_pylist())
        return found

    def manifests(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted(self.warehouse.rglob("_manifest/**/*.json"))]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_extracts_are_published_by_extract_and_date_and_only_once(world: World) -> None:
    world.put("2026-01-05-20-00-00/2026-01-05-20-00-00-VBI_CASE.csv", CASES)
    world.put("2026-01-05-21-00-00-VBI_CASE.csv", b"ID,NAME\n9,x\n")
    world.put("2026-01-06/Other Extract.CSV", b"A\n1\n")
    world.put("readme.txt", b"no extract")
    first = run(TOOL, world.settings)
    assert first.code == 0, first.text
    assert world.rows() == {
        "Other_Extract/date=2026-01-06": [{"A": "1"}],
        "VBI_CASE/date=2026-01-05": [
            {"ID": "007", "NAME": "Ann\nB"},
            {"ID": "8", "NAME": None},
            {"ID": "9", "NAME": "x"},
        ],
    }
    summary = first.event("summary")
    assert (summary["published"], summary["rows"], summary["known"]) == (3, 4, 0)
    assert [(one["records"], one["rows"], one["status"]) for one in world.manifests()] == [
        (1, 1, "published"),
        (2, 2, "published"),
        (1, 1, "published"),
    ]
    assert "Ann" not in first.text
    before = {file: file.stat().st_mtime_ns for file in world.warehouse.rglob("*") if file.is_file()}
    assert run(TOOL, world.settings).event("summary")["known"] == 3
    assert before == {file: file.stat().st_mtime_ns for file in world.warehouse.rglob("*") if file.is_file()}


def test_a_new_version_takes_the_place_of_the_old_one_with_its_rejects(world: World) -> None:
    world.put("2026-01-05-VBI_CASE.csv", CASES + b"too,many,fields\n")
    run(TOOL, world.settings | {"WAREHOUSE_REJECTED_SHARE_LIMIT": 0.5})
    (rejects,) = world.warehouse.rglob("_rejected/**/*.csv")
    assert rejects.read_bytes() == b'record,reason,text\r\n4,too many fields,"too,many,fields"\r\n'
    world.put("2026-01-05-VBI_CASE.csv", b"ID,NEW\n1,2\n")
    assert run(TOOL, world.settings).code == 0
    assert world.rows() == {"VBI_CASE/date=2026-01-05": [{"ID": "1", "NEW": "2"}]}
    assert not rejects.exists()


def test_bad_files_are_refused_with_their_account_and_the_others_published(world: World) -> None:
    world.put("2026-01-05-BAD.csv", b"ID,NAME\n1,secret-1\n2\n3\n")
    world.put("2026-01-05-BROKEN.csv", b'ID,NAME\n1,"secret-2\n')
    world.put("2026-01-05-GOOD.csv", CASES)
    ended = run(TOOL, world.settings)
    assert (ended.code, ended.error.partition(";")[0]) == (1, "2 extracts could not be taken into the warehouse")
    assert "2 of 3 records are rejected, more than the allowed share of 5.00%" in ended.text
    assert "secret" not in ended.text
    assert list(world.rows()) == ["GOOD/date=2026-01-05"]
    assert [(one["status"], one["records"], sum(one["rejected"].values())) for one in world.manifests()] == [
        ("refused", 3, 2),
        ("refused", 1, 0),
        ("published", 2, 0),
    ]
    again = run(TOOL, world.settings)
    assert (again.code, again.event("summary")["known"]) == (0, 3)
    last = run(TOOL, world.settings, "--retry-refused", "--warehouse-rejected-share-limit=0.7")
    assert (last.code, last.event("summary")["published"]) == (1, 1)
    assert world.rows()["BAD/date=2026-01-05"] == [{"ID": "1", "NAME": "secret-1"}]


def test_names_from_outside_stay_in_the_warehouse(world: World) -> None:
    for name in ("2026-01-05-..csv", "2026-01-05-$(x) & ü.csv", "_manifest.csv", "2026-01-05-.csv"):
        world.put(name, b"A\n1\n")
    run(TOOL, world.settings)
    assert sorted(world.rows()) == sorted(
        {
            "unnamed/date=2026-01-05",
            "x/date=2026-01-05",
            f"manifest/{next(world.warehouse.glob('manifest/*')).name}",
        }
    )


def test_the_vendors_bucket_is_read_in_its_role(ours: str, vendors: str) -> None:
    with vendor_storage().open_write(f"{vendors}/IDT/out/2026-01-05-VBI_CASE.csv") as file:
        file.write(CASES)
    settings = {"EXTRACTS_PATH": f"{vendors}/IDT", "WAREHOUSE_PATH": f"{ours}/warehouse", **as_vendor(vendors)}
    ended = run(TOOL, settings)
    assert ended.code == 0, ended.text
    (found,) = [one for one in storage.session().walk(f"{ours}/warehouse/VBI_CASE") if one.name.endswith(".parquet")]
    with storage.session().open_read(found.uri) as file:
        assert pq.ParquetFile(io.BytesIO(file.read())).metadata.num_rows == 2
    assert run(TOOL, settings).event("summary")["known"] == 1


def test_killed_at_any_moment_nothing_is_doubled_or_half(world: World) -> None:
    for number in range(12):
        lines = b"".join(b"%d,%d\n" % (number, line) for line in range(20_000))
        world.put(f"2026-01-{number + 1:02}-BIG.csv", b"FILE,LINE\n" + lines)
    for kill in range(1, 4):
        process = subprocess.Popen(command(TOOL), env=environment(world.settings), stdout=subprocess.DEVNULL)
        while len(list(world.warehouse.rglob("*.parquet"))) < 3 * kill and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for rows in world.rows().values():
            assert len(rows) == 20_000
    assert run(TOOL, world.settings).code == 0
    assert [len(rows) for rows in world.rows().values()] == [20_000] * 12
    assert len(world.manifests()) == 12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"EXTRACTS_PATH": ""}, "EXTRACTS_PATH is not set"),
        ({"WAREHOUSE_PATH": "relative"}, "'relative' is no location"),
        ({"WAREHOUSE_REJECTED_SHARE_LIMIT": "2"}, "less than or equal to 1"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(world: World, settings: dict[str, str], message: str) -> None:
    ended = run(TOOL, world.settings | settings)
    assert ended.code == 2
    assert message in ended.error
