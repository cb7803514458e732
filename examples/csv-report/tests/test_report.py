"""Test the report with a bucket in a folder and, with nightferry[testing], in an emulated S3."""

from __future__ import annotations

import json

import pytest
from csv_report.jobs import report

from nightferry.testing import FakeBucket, run_job


def test_orders_are_summed_by_region(bucket: FakeBucket) -> None:
    file = bucket.put("incoming/november.csv", "region,amount\nnorth,120\nsouth,80\nnorth,40\n")
    ended = run_job(report, {"S3_URI": file, "REPORTS": bucket / "reports"})
    assert ended.exit_code == 0
    assert json.loads(bucket.get("reports/november.json")) == {"north": 160, "south": 80}


@pytest.mark.parametrize(
    ("content", "problem"),
    [("", "has no columns"), ("region,amount\nnorth,many\n", "line 2: the amount is not a number")],
)
def test_a_bad_file_is_refused(bucket: FakeBucket, content: str, problem: str) -> None:
    file = bucket.put("incoming/november.csv", content)
    ended = run_job(report, {"S3_URI": file, "REPORTS": bucket / "reports"})
    assert ended.exit_code == 1
    assert problem in ended.errors[0]
    assert bucket.keys("reports/") == []
