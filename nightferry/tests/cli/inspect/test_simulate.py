"""``nightferry simulate`` in pipes, on a terminal of 80 columns, and as JSON."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from nightferry.cli.app import main
from tests.aws.project import ON_AWS
from tests.cli.terminal import PROGRAM, environment, in_process, nightferry, on_terminal
from tests.module_names import module_name

CATALOG = """
from datetime import timedelta
from pydantic import BaseModel
from nightferry import Catalog, Image
from nightferry.states.builder import RunTask, Steps

class Settings(BaseModel):
    "Nothing."
    count: int = 1

catalog = Catalog("planned", image=Image("planned"))
leases = catalog.bucket("leases")
catalog.leases = leases / "leases"
load = catalog.task("load", config=Settings, command=["true"], overlap="skip", expected=timedelta(minutes=40))
sweep = catalog.task("sweep", command=["sweep"], config=Settings, overlap="queue", time_limit=timedelta(minutes=30))
chain = catalog.workflow("chain", Steps(RunTask(sweep), RunTask(load)))
zone = "America/New_York"
catalog.schedule("nightly-chain-with-a-long-name", chain, "cron(30 2 * * ? *)", timezone=zone)
catalog.schedule("load-again", load, "cron(15 3 ? * MON-FRI *)", timezone=zone)
catalog.schedule("often", sweep, "rate(20 minutes)", timezone=zone)
catalog.schedule("asleep", load, "cron(0 12 * * ? *)", enabled=False)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    module = module_name("planned", tmp_path)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "local.toml").write_text('backend = "local"\n')
    (tmp_path / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (tmp_path / f"{module}.py").write_text(CATALOG)
    return tmp_path


MARCH = ("simulate", "--from", "2026-03-01T00:00:00-05:00")


def test_json_contains_every_start_and_its_overlaps(root: Path) -> None:
    found = json.loads(nightferry(root, *MARCH, "--days", "14", "--json").stdout)
    by_name = {one["schedule"]: one for one in found["schedules"]}
    assert by_name["nightly-chain-with-a-long-name"]["starts"] == 13  # without the 8th
    assert (by_name["load-again"]["starts"], by_name["load-again"]["overlaps"]) == (10, 10)
    assert by_name["often"]["waited"] > 0
    assert found["clock_changes"] == [
        {"schedule": "nightly-chain-with-a-long-name", "local": "2026-03-08T02:30:00", "change": "skipped"}
    ]
    assert found["switched_off"] == ["asleep"]
    assert found["durations"]["load"] == {"seconds": 2400, "source": "expected duration: no runs"}
    assert found["durations"]["sweep"]["source"].startswith("time limit")
    again = next(one for one in found["starts"] if one["schedule"] == "load-again")
    assert (again["meets"], again["outcome"]) == (["chain"], "runs")


def test_durations_are_estimated_from_successful_runs(root: Path) -> None:
    for _ in range(3):
        assert nightferry(root, "run", "load").returncode == 0
    found = json.loads(nightferry(root, *MARCH, "--days", "2", "--percentile", "90", "--json").stdout)["durations"]
    assert found["load"]["source"] == "percentile 90 of 3 runs"
    assert found["load"]["seconds"] < 2400


def test_the_chart_fits_80_columns_without_color_and_unicode(root: Path) -> None:
    narrow = environment() | {"COLUMNS": "80", "PYTHONIOENCODING": "ascii"}
    drawn = subprocess.run([PROGRAM, *MARCH], cwd=root, env=narrow, capture_output=True, text=True, check=True).stdout
    assert max(len(line) for line in drawn.splitlines()) <= 80
    charts = [line.split() for line in drawn.splitlines() if line and set(line.split()[-1]) <= set(".#!")]
    assert {name for name, _ in charts} == {"nightly-chain-with-a-lo~", "load-again", "often"}
    assert "nightly-chain-with-a-long-name: Sun 2026-03-08 02:30" in drawn
    assert "Disabled in local: asleep" in drawn
    assert "\x1b" not in drawn


@pytest.mark.sampled(2)
@pytest.mark.parametrize("days", ["365", "1"])
def test_a_terminal_shows_a_day_or_a_year(root: Path, days: str) -> None:
    code, drawn = on_terminal(root, *MARCH, "--days", days)
    assert code == 0
    assert "Hours of the day" in drawn
    assert ("Days (" in drawn) == (days == "365")


def test_an_environment_without_a_run_history_is_simulated_from_its_declarations(root: Path) -> None:
    (root / "environments" / "prod.toml").write_text(ON_AWS)
    without_credentials = {name: value for name, value in environment().items() if not name.startswith("AWS_")}
    without_credentials |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    without_credentials |= {"AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    ended = in_process(main, root, without_credentials, *MARCH, "--env", "prod", "--json")
    assert ended.returncode == 0
    found = json.loads(ended.stdout)
    assert found["history_unknown"]
    assert {"load-again"} <= {one["schedule"] for one in found["schedules"]}
    assert all(one["source"].endswith("no runs") for one in found["durations"].values())


def test_usage_errors_are_reported(root: Path) -> None:
    ended = nightferry(root, "simulate", "--from", "soon")
    assert (ended.returncode, "is not a time. Use" in ended.stderr) == (2, True)
    assert nightferry(root, "simulate", "--days", "0").returncode == 2
