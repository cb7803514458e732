"""The estimate of a month: sums by hand, properties of totals, and unknown parts instead of zeros."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import fsum
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image, Size
from nightferry.costs.estimate import OTHER_STARTS, Estimate, estimate_month
from nightferry.costs.fires import Month
from nightferry.costs.observations import Observations, ObservedTask, ObservedWorkflow
from nightferry.costs.prices import ARCHITECTURES
from nightferry.costs.transitions import ExecutionUsage
from nightferry.environments.environment import Environment, parse
from nightferry.presentation.costs import describe_total, format_count, format_dollars, render_json
from nightferry.states.builder import ForEach, RunTask, Steps
from tests.costs.declared import Settings

NOVEMBER = Month(2026, 11)
UNTIL = datetime(2026, 11, 30, tzinfo=UTC)


def make_catalog() -> Catalog:
    catalog = Catalog("app", image=Image("app"))
    load = catalog.task("load", command=["load"], config=Settings, size=Size(1024, 2048))
    send = catalog.task("send", command=["send"], config=Settings, size=Size(256, 512), expected=timedelta(minutes=2))
    catalog.task("big", command=["big"], config=Settings, scratch=120)
    etl = catalog.workflow("etl", Steps(RunTask(load), ForEach([1, 2], RunTask(send))))
    catalog.schedule("nightly", etl, "cron(0 3 * * ? *)")
    catalog.schedule("hourly", load, "cron(0 * * * ? *)", enabled=catalog.setting("hourly", default=True))
    return catalog


CATALOG = make_catalog()


def make_environment(text: str = "") -> Environment:
    return parse("x", f'backend = "local"\n{text}', CATALOG, Path("environments/x.toml"))


def estimate(
    tasks: Mapping[str, ObservedTask] | None = None,
    workflows: Mapping[str, ObservedWorkflow] | None = None,
    *,
    of: str = "x",
    text: str = "",
) -> Estimate:
    seen = Observations(of, False, UNTIL - timedelta(days=10), UNTIL, tasks or {}, workflows or {})
    return estimate_month(CATALOG, make_environment(text), NOVEMBER, seen)


LOAD = ObservedTask(runs=7, billed_seconds=600, median_seconds=580, direct_per_day=24, log_bytes=1e6)


def test_a_month_equals_the_sum_by_hand() -> None:
    etl = ObservedWorkflow(1, 2, ExecutionUsage(8, {"load": 1, "send": 2}))
    found = estimate({"load": LOAD}, {"etl": etl})
    load, send, big = found.tasks
    assert load.starts == {"hourly": 720, "etl": 30}
    assert send.starts == {"etl": 60}
    assert (big.runs, big.prices) == (0, {"x86": 0, "arm": 0})
    vcpu_hours, gb_hours = 750 / 6 + 60 / 30 * 0.25, 750 / 6 * 2 + 60 / 30 * 0.5
    transitions = 30 * 8 * 0.025 / 1000
    log = 750 * 1e6 / 1e9 * 0.5 + 750 * 1e6 / 1e9 * 0.15 * 365 / 30.4 * 0.03
    fargate = vcpu_hours * 0.04048 + gb_hours * 0.004445
    assert found.total("x86") == pytest.approx(fargate + transitions + log)
    arm = vcpu_hours * 0.03238 + gb_hours * 0.00356
    assert found.total("arm") == pytest.approx(arm + transitions + log)
    assert send.basis == "expected duration: no runs"
    assert found.unknown == ("CloudWatch Logs: the sizes of the logs of send",)


def test_starts_beyond_the_fires_are_other_starts() -> None:
    busy = ObservedTask(10, 60, 50, direct_per_day=30, log_bytes=None)
    found = estimate({"load": busy}).tasks[0]
    assert found.starts[OTHER_STARTS] == pytest.approx(6 * 30)
    off = estimate({"load": busy}, text="[settings]\nhourly = false\n").tasks[0]
    assert off.starts == {OTHER_STARTS: pytest.approx(30 * 30), "etl": 30}


def test_the_size_of_the_whole_log_comes_before_those_of_runs() -> None:
    seen = Observations("x", True, UNTIL - timedelta(days=10), UNTIL, {"load": LOAD}, {}, log_bytes=10**9)
    found = estimate_month(CATALOG, make_environment(), NOVEMBER, seen)
    assert found.log.gb == pytest.approx(3)
    assert found.log.ingestion == pytest.approx(1.5)


def test_runs_of_another_environment_give_durations_but_no_starts() -> None:
    busy = ObservedTask(10, 60, 50, direct_per_day=30, log_bytes=None)
    found = estimate({"load": busy}, of="local")
    assert OTHER_STARTS not in found.tasks[0].starts
    assert any(line.startswith("starts by objects and by hand: the runs are those of local") for line in found.unknown)


def test_what_is_unknown_is_listed_and_never_zero() -> None:
    found = estimate()
    assert found.tasks[0].prices == {"x86": None, "arm": None}
    assert "Fargate: no run in x gives the duration of load (about 750 runs)" in found.unknown
    assert "CloudWatch Logs: the sizes of the logs are not known in x" in found.unknown
    assert describe_total(found).endswith("without 2 unknown parts")
    assert render_json(found)["tasks"][0]["price"] == {"x86": None, "arm": None}


def test_a_region_without_prices_says_which_keys_to_set() -> None:
    found = estimate({"load": LOAD}, text='[costs]\nregion = "eu-central-1"\n')
    assert found.total("arm") is None
    assert found.total("x86") is not None
    prefix = "no price for region eu-central-1: set"
    assert f"Fargate on Arm: {prefix} fargate_arm_vcpu_hour and fargate_arm_gb_hour in [costs]" in found.unknown
    assert f"CloudWatch Logs, lines: {prefix} logs_gb in [costs]" in found.unknown
    assert "unknown with Arm" in describe_total(found)
    nowhere = estimate({"load": LOAD}, text='[costs]\nregion = "mx-central-1"\n')
    assert (nowhere.total("x86"), nowhere.workflows[0].price) == (None, None)
    assert any(line.startswith("Step Functions, etl: no price for region") for line in nowhere.unknown)


def test_the_price_of_storage_may_be_unknown_alone() -> None:
    big = ObservedTask(3, 600, 600, direct_per_day=1, log_bytes=None)
    found = estimate({"big": big}, text='[costs]\nregion = "eu-west-1"\n')
    assert found.tasks[2].prices == {"x86": None, "arm": None}
    assert any(
        "Fargate, big: no price for region eu-west-1: set fargate_storage_gb_hour" in one for one in found.unknown
    )


amounts = some.floats(0, 1e5)
observed = some.builds(ObservedTask, some.integers(1, 9), amounts, amounts, some.floats(0, 100), some.none() | amounts)


@settings(max_examples=20)
@given(some.dictionaries(some.sampled_from(["load", "send", "big"]), observed), some.floats(0, 50))
def test_totals_are_sums_of_their_parts_and_grow_with_the_usage(tasks: dict[str, ObservedTask], per_day: float) -> None:
    workflows = {"etl": ObservedWorkflow(per_day, 1, ExecutionUsage(9, {"load": 1.5}))}
    found = estimate(tasks, workflows)
    for architecture in ARCHITECTURES:
        parts = [cost.prices[architecture] for cost in found.tasks] + [one.price for one in found.workflows]
        parts += [found.log.ingestion, found.log.storage]
        total = found.total(architecture)
        assert total == pytest.approx(fsum(part for part in parts if part is not None))
        more = {
            name: ObservedTask(
                one.runs, one.billed_seconds * 2, one.median_seconds, one.direct_per_day + 1, one.log_bytes
            )
            for name, one in tasks.items()
        }
        larger = estimate(more, workflows).total(architecture)
        assert larger is not None
        assert total is not None
        assert larger >= total
    for cost in found.tasks:
        assert cost.runs == pytest.approx(fsum(cost.starts.values()))


def test_amounts_as_text() -> None:
    assert [format_dollars(amount) for amount in (None, 0, 0.001, 0.005, 1234.5)] == [
        "unknown", "$0.00", "<$0.01", "$0.01", "$1,234.50",
    ]  # fmt: skip
    assert [format_count(number) for number in (3, 2.5, 30.4, 1234.5)] == ["3", "2.5", "30", "1,234"]
