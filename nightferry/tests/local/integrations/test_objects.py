"""``aws-sdk:s3:getObject`` reads a file in the folder of a bucket, with the errors that Step Functions reports."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nightferry.local.integrations.objects import MAX_BYTES, GetObject
from nightferry.local.integrations.resource_call import ResourceCall
from nightferry.states.language.resources import GET_OBJECT
from nightferry.states.machine.commands import Outcome, StartTask, TaskFailed, TaskStarted, TaskSucceeded


def read(parameters: dict[str, Any]) -> Outcome:
    outcomes: list[Outcome] = []
    command = StartTask("token", GET_OBJECT, parameters, "Read")
    asyncio.run(GetObject().begin(ResourceCall(command, "execution", lambda _, outcome: outcomes.append(outcome))))
    started, outcome = outcomes
    assert started == TaskStarted()
    return outcome


def test_the_body_is_the_text_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/7.json").write_text('{"é": 1}', encoding="utf-8")
    assert read({"Bucket": tmp_path.as_uri(), "Key": "a b/7.json"}) == TaskSucceeded(
        {"Body": '{"é": 1}', "ContentLength": 9}
    )


@pytest.mark.parametrize(
    ("content", "key", "error"),
    [
        (None, "none.json", "S3.S3Exception"),
        (b"x", "../x", "S3.S3Exception"),
        (b"x", "", "S3.S3Exception"),
        (b"x", 7, "S3.S3Exception"),
        (b"\xff", "x", "S3.S3Exception"),
        (b"x" * (MAX_BYTES + 1), "x", "States.DataLimitExceeded"),
    ],
)
def test_an_object_that_cannot_be_read(content: bytes | None, key: Any, error: str, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    for folder in (bucket, tmp_path) if content is not None else ():
        (folder / "x").write_bytes(content or b"")
    outcome = read({"Bucket": str(bucket), "Key": key})
    assert isinstance(outcome, TaskFailed)
    assert outcome.error == error
