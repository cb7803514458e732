"""``nightferry costs``: from real runs of the local engine, as text and as JSON, and for other environments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.aws.project import ON_AWS
from tests.cli.terminal import nightferry
from tests.local.toy import ENVIRONMENT

SCHEDULES = """
catalog.schedule("nightly", catalog.workflows["marks"], "cron(30 20 * * ? *)", timezone="America/New_York")
catalog.schedule("hourly", hello, "cron(0 * * * ? *)", timezone="America/New_York")
"""
MONTH = ("costs", "--month", "2026-11")


@pytest.fixture
def project(root: Path) -> Path:
    module = next(root.glob("toy_*.py"))
    module.write_text(module.read_text() + SCHEDULES)
    (root / "environments" / "there.toml").write_text(ON_AWS + '[settings]\ncolor = "red"\n')
    (root / "environments" / "abroad.toml").write_text(
        f'{ENVIRONMENT}[costs]\nregion = "mx-central-1"\nfargate_vcpu_hour = 1\nfargate_gb_hour = 1\n'
    )
    return root


def test_the_estimate_is_made_from_real_runs(project: Path) -> None:
    assert nightferry(project, "run", "hello").returncode == 0
    assert nightferry(project, "start", "marks").returncode == 0
    found = json.loads(nightferry(project, *MONTH, "--json").stdout)
    tasks = {one["task"]: one for one in found["tasks"]}
    assert (tasks["hello"]["billed_seconds"], tasks["hello"]["basis"]) == (60, "its one run")
    assert tasks["hello"]["starts"]["hourly"] == 719  # an hour that the clocks repeat fires once
    assert tasks["mark"]["starts"]["marks"] == pytest.approx(5 * found["workflows"][0]["executions"])
    assert found["workflows"][0]["starts"]["nightly"] == 30
    assert found["workflows"][0]["basis"] == "its last execution"
    assert found["log"]["gb"] > 0
    assert 0 < found["total"]["arm"] < found["total"]["x86"]
    there = json.loads(nightferry(project, *MONTH, "--env", "there", "--runs-of", "local", "--json").stdout)
    assert there["runs_of"] == "local"
    assert there["tasks"][0]["starts"] == {"hourly": 719}
    shown = nightferry(project, *MONTH).stdout
    assert shown.startswith("local, 2026-11: about $")
    assert "From the runs of local of the last 30 days and the schedules of local." in shown
    assert "Not included" in shown


def test_prices_of_the_environment_and_unknown_ones(project: Path) -> None:
    found = json.loads(nightferry(project, *MONTH, "--env", "abroad", "--json").stdout)
    assert (found["region"], found["prices"]) == ("mx-central-1", {"fargate_vcpu_hour": 1, "fargate_gb_hour": 1})
    assert found["total"]["arm"] is None
    assert any("set states_thousand_transitions in [costs]" in line for line in found["unknown"])
    shown = nightferry(project, *MONTH, "--env", "abroad").stdout
    assert "Prices of mx-central-1: [costs] of environments/abroad.toml." in shown
    assert "Unknown, and in no amount" in shown


def test_without_aws_the_message_offers_the_runs_of_this_machine(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    refused = nightferry(project, *MONTH, "--env", "there")
    assert refused.returncode == 126
    assert "add --runs-of local to the command" in refused.stderr


def test_a_text_that_is_not_a_month_is_an_error(project: Path) -> None:
    refused = nightferry(project, "costs", "--month", "soon")
    assert refused.returncode == 2
    assert "'soon' is not a month. Write it as in 2026-11." in refused.stderr
