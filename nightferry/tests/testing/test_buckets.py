"""One test of a job, with a folder and with S3."""

from __future__ import annotations

import os

import pytest
from pydantic import Field

from nightferry import storage
from nightferry.job import JobSettings, Run, background_task
from nightferry.testing import run_job
from nightferry.testing.buckets import FakeBucket


class Settings(JobSettings):
    """Settings of the job."""

    folder: str = Field(description="Folder to read")


@background_task("a-job", Settings)
def main(settings: Settings, run: Run) -> None:
    """Move each object to a folder."""
    for found in storage.list_objects(settings.folder):
        storage.move(found.uri, storage.join(settings.folder, "done", found.name), version=found.version)


def test_a_job_finds_the_objects_of_the_test_and_the_test_those_of_the_job(bucket: FakeBucket) -> None:
    bucket.put("in/a.csv", "é")
    bucket.put("in/b.csv", b"\xff")
    assert bucket.keys() == ["in/a.csv", "in/b.csv"]
    assert run_job(main, {"FOLDER": bucket / "in"}).exit_code == 0
    assert bucket.keys("in/done/") == bucket.keys() == ["in/done/a.csv", "in/done/b.csv"]
    assert (bucket.get("in/done/a.csv"), bucket.get("in/done/b.csv")) == ("é".encode(), b"\xff")
    with pytest.raises(storage.ObjectNotFound):
        bucket.get("in/a.csv")


def test_a_bucket_is_empty_whatever_a_test_before_wrote(bucket: FakeBucket) -> None:
    assert bucket.keys() == []


@pytest.mark.parametrize("bucket", ["s3"], indirect=True)
def test_a_kind_can_be_selected(bucket: FakeBucket) -> None:
    assert bucket.uri.startswith("s3://")
    assert "AWS_ENDPOINT_URL" not in os.environ
