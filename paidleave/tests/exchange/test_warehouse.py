"""Each extract is imported once, completely and with its counts, also after crashes."""

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
from nightferry.testing import forked
from tests.exchange.conftest import build_command, build_environment, open_vendor_storage, run, vendor_settings

TOOL = "paidleave.exchange.warehouse"
CASES = b'ID,NAME\n007,"Ann\nB"\n8,\n'


class WarehouseFolders:
    """Two local folders, for the extracts and for the warehouse."""

    def __init__(self, folder: Path) -> None:
        self.extracts, self.warehouse = folder / "extracts", folder / "warehouse"
        self.settings: dict[str, Any] = {
            "EXTRACTS_PATH": self.extracts,
            "WAREHOUSE_PATH": self.warehouse,
            "QUIET_SECONDS": "0",
        }

    def put(self, name: str, data: bytes) -> None:
        with storage.open_write(f"{self.extracts}/{name}") as file:
            file.write(data)

    def read_rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of each partition."""
        found: dict[str, list[dict[str, Any]]] = {}
        for file in sorted(self.warehouse.rglob("*.parquet")):
            partition = str(file.parent.relative_to(self.warehouse))
            found.setdefault(partition, []).extend(pq.ParquetFile(file).read().to_pylist())
        return found

    def read_manifests(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted(self.warehouse.rglob("_manifest/**/*.json"))]


@pytest.fixture
def folders(tmp_path: Path) -> WarehouseFolders:
    return WarehouseFolders(tmp_path)


def test_extracts_are_published_once_by_extract_and_date(folders: WarehouseFolders) -> None:
    folders.put("2026-01-05-20-00-00/2026-01-05-20-00-00-VBI_CASE.csv", CASES)
    folders.put("2026-01-05-21-00-00-VBI_CASE.csv", b"ID,NAME\n9,x\n")
    folders.put("2026-01-06/Other Extract.CSV", b"A\n1\n")
    folders.put("readme.txt", b"not an extract")
    first = run(TOOL, folders.settings)
    assert first.code == 0, first.text
    assert folders.read_rows() == {
        "Other_Extract/date=2026-01-06": [{"A": "1"}],
        "VBI_CASE/date=2026-01-05": [
            {"ID": "007", "NAME": "Ann\nB"},
            {"ID": "8", "NAME": None},
            {"ID": "9", "NAME": "x"},
        ],
    }
    summary = first.event("summary")
    assert (summary["published"], summary["rows"], summary["known"]) == (3, 4, 0)
    assert [(one["records"], one["rows"], one["status"]) for one in folders.read_manifests()] == [
        (1, 1, "published"),
        (2, 2, "published"),
        (1, 1, "published"),
    ]
    assert "Ann" not in first.text
    before = {file: file.stat().st_mtime_ns for file in folders.warehouse.rglob("*") if file.is_file()}
    assert run(TOOL, folders.settings).event("summary")["known"] == 3
    assert before == {file: file.stat().st_mtime_ns for file in folders.warehouse.rglob("*") if file.is_file()}


def test_a_new_version_replaces_the_rows_and_rejected_records_of_the_old_one(folders: WarehouseFolders) -> None:
    folders.put("2026-01-05-VBI_CASE.csv", CASES + b"too,many,fields\n")
    run(TOOL, folders.settings | {"WAREHOUSE_REJECTED_SHARE_LIMIT": 0.5})
    (rejects,) = folders.warehouse.rglob("_rejected/**/*.csv")
    assert rejects.read_bytes() == b'record,reason,text\r\n4,too many fields,"too,many,fields"\r\n'
    folders.put("2026-01-05-VBI_CASE.csv", b"ID,NEW\n1,2\n")
    assert run(TOOL, folders.settings).code == 0
    assert folders.read_rows() == {"VBI_CASE/date=2026-01-05": [{"ID": "1", "NEW": "2"}]}
    assert not rejects.exists()


def test_bad_files_are_refused_with_their_counts_and_the_others_published(folders: WarehouseFolders) -> None:
    folders.put("2026-01-05-BAD.csv", b"ID,NAME\n1,secret-1\n2\n3\n")
    folders.put("2026-01-05-BROKEN.csv", b'ID,NAME\n1,"secret-2\n')
    folders.put("2026-01-05-GOOD.csv", CASES)
    result = run(TOOL, folders.settings)
    assert (result.code, result.error.partition(";")[0]) == (1, "2 extracts could not be imported into the warehouse")
    assert "2 of 3 records were rejected, more than the allowed share of 5.00%" in result.text
    assert "secret" not in result.text
    assert list(folders.read_rows()) == ["GOOD/date=2026-01-05"]
    assert [(one["status"], one["records"], sum(one["rejected"].values())) for one in folders.read_manifests()] == [
        ("refused", 3, 2),
        ("refused", 1, 0),
        ("published", 2, 0),
    ]
    again = run(TOOL, folders.settings)
    assert (again.code, again.event("summary")["known"]) == (0, 3)
    last = run(TOOL, folders.settings, "--retry-refused", "--warehouse-rejected-share-limit=0.7")
    assert (last.code, last.event("summary")["published"]) == (1, 1)
    assert folders.read_rows()["BAD/date=2026-01-05"] == [{"ID": "1", "NAME": "secret-1"}]


def test_file_names_cannot_lead_out_of_the_warehouse(folders: WarehouseFolders) -> None:
    for name in ("2026-01-05-..csv", "2026-01-05-$(x) & ü.csv", "_manifest.csv", "2026-01-05-.csv"):
        folders.put(name, b"A\n1\n")
    run(TOOL, folders.settings)
    assert sorted(folders.read_rows()) == sorted(
        {
            "unnamed/date=2026-01-05",
            "x/date=2026-01-05",
            f"manifest/{next(folders.warehouse.glob('manifest/*')).name}",
        }
    )


def test_the_vendors_bucket_is_read_with_its_role(ours: str, vendors: str) -> None:
    with open_vendor_storage().open_write(f"{vendors}/IDT/out/2026-01-05-VBI_CASE.csv") as file:
        file.write(CASES)
    settings = {"EXTRACTS_PATH": f"{vendors}/IDT", "WAREHOUSE_PATH": f"{ours}/warehouse", **vendor_settings(vendors)}
    result = run(TOOL, settings)
    assert result.code == 0, result.text
    (found,) = [one for one in storage.session().walk(f"{ours}/warehouse/VBI_CASE") if one.name.endswith(".parquet")]
    with storage.session().open_read(found.uri) as file:
        assert pq.ParquetFile(io.BytesIO(file.read())).metadata.num_rows == 2
    assert run(TOOL, settings).event("summary")["known"] == 1


def test_a_killed_import_leaves_no_partial_or_duplicate_rows(folders: WarehouseFolders) -> None:
    for number in range(12):
        lines = b"".join(b"%d,%d\n" % (number, line) for line in range(20_000))
        folders.put(f"2026-01-{number + 1:02}-BIG.csv", b"FILE,LINE\n" + lines)
    for kill in range(1, 4):
        process = forked.Popen(build_command(TOOL), env=build_environment(folders.settings), stdout=subprocess.DEVNULL)
        while len(list(folders.warehouse.rglob("*.parquet"))) < 3 * kill and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for rows in folders.read_rows().values():
            assert len(rows) == 20_000
    assert run(TOOL, folders.settings).code == 0
    assert [len(rows) for rows in folders.read_rows().values()] == [20_000] * 12
    assert len(folders.read_manifests()) == 12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"EXTRACTS_PATH": ""}, "EXTRACTS_PATH is not set"),
        ({"WAREHOUSE_PATH": "relative"}, "'relative' is not a location"),
        ({"WAREHOUSE_REJECTED_SHARE_LIMIT": "2"}, "less than or equal to 1"),
    ],
)
def test_invalid_settings_are_named(folders: WarehouseFolders, settings: dict[str, str], message: str) -> None:
    result = run(TOOL, folders.settings | settings)
    assert result.code == 2
    assert message in result.error
