"""Test folders that represent buckets: keys, listings, and no access outside a bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightferry.local.engine.bucket_folders import BucketFolders
from nightferry.states.machine.commands import Item, ReadItems, TaskFailed, TaskSucceeded
from nightferry.states.machine.items import execute_command


@pytest.fixture
def buckets(tmp_path: Path) -> BucketFolders:
    folder = tmp_path / "buckets" / "inbox"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "items.json").write_text('[{"n": 1}, {"n": 2}]')
    (folder / "b.txt").write_text("b")
    (folder / ".b.txt.part").write_text("half")
    (tmp_path / "buckets" / "other").mkdir()
    (tmp_path / "outside").write_text("secret")
    return BucketFolders(tmp_path / "buckets")


def test_a_listing_has_keys_in_order_without_incomplete_objects(buckets: BucketFolders) -> None:
    assert [item.key for item in buckets.list("inbox", "")] == ["a/items.json", "b.txt"]
    assert [item.size for item in buckets.list("inbox", "b")] == [1]


def test_an_object_is_written_and_read(buckets: BucketFolders, tmp_path: Path) -> None:
    buckets.write("inbox", "out/result.json", b"{}")
    assert buckets.read((tmp_path / "buckets" / "inbox").as_uri(), "out/result.json") == b"{}"


@pytest.mark.parametrize(
    ("bucket", "key"), [("inbox", "../../outside"), ("inbox", "../other/x"), ("..", "outside"), ("", "x"), ("a/b", "x")]
)
def test_access_outside_a_bucket_is_refused(buckets: BucketFolders, bucket: str, key: str) -> None:
    with pytest.raises(LookupError, match=r"Object .* not found in bucket"):
        buckets.read(bucket, key)


def test_a_distributed_map_reads_its_items_from_a_bucket(buckets: BucketFolders) -> None:
    resource = "arn:aws:states:::s3:getObject"
    parameters = {"Bucket": "inbox", "Key": "a/items.json"}
    command = ReadItems("t", resource, parameters, {"InputType": "JSON"}, "map")
    assert execute_command(command, buckets) == TaskSucceeded(
        [Item({"n": 1}, "s3://inbox/a/items.json"), Item({"n": 2}, "s3://inbox/a/items.json")]
    )
    missing = ReadItems("t", resource, {"Bucket": "inbox", "Key": "none"}, {"InputType": "JSON"}, "map")
    assert isinstance(execute_command(missing, buckets), TaskFailed)
