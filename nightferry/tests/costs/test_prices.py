"""The table of prices, and prices of runs that AWS's price pages calculate as examples."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nightferry.catalog.fargate import SIZES, Size
from nightferry.costs.fargate import bill_seconds, count_billed_storage, price_seconds
from nightferry.costs.prices import ARCHITECTURES, Architecture, _read_table, build_prices
from nightferry.environments.aws_settings import AwsSettings
from nightferry.environments.cost_settings import CostSettings

US = build_prices("us-east-1", {})


@pytest.mark.parametrize(
    ("tasks", "seconds", "size", "dollars"),
    [
        (1, 600, Size(1024, 2048), 0.25),  # one task of ten minutes each day of a month
        (5, 600, Size(1024, 2048), 1.23),
        (10, 3600, Size(256, 1024), 4.37),
    ],
)
def test_a_month_of_runs_costs_what_awss_price_page_calculates(
    tasks: int, seconds: int, size: Size, dollars: float
) -> None:
    month = price_seconds(size, 0, tasks * 30 * seconds, US)
    assert month is not None
    by_hand = tasks * 30 * seconds * (size.cpu / 1024 * 0.000011244 + size.memory / 1024 * 0.000001235)
    assert month == pytest.approx(by_hand, rel=1e-3)  # AWS rounds the price of a second
    assert round(month, 2) == dollars


def test_an_hour_on_arm_and_the_storage_above_the_included_one() -> None:
    assert price_seconds(Size(1024, 2048), 0, 3600, US, "arm") == pytest.approx(0.03238 + 2 * 0.00356)
    hour = price_seconds(Size(1024, 2048), 100, 3600, US)
    assert hour == pytest.approx(0.04048 + 2 * 0.004445 + 80 * 0.000111)
    assert [count_billed_storage(scratch) for scratch in (0, 20, 21, 200)] == [0, 0, 1, 180]


def test_a_run_is_billed_by_the_second_and_for_at_least_a_minute() -> None:
    assert [bill_seconds(seconds) for seconds in (0, 0.2, 59.9, 60, 60.1, 3599.5)] == [60, 60, 60, 60, 61, 3600]


sizes = some.sampled_from([Size(cpu, memory) for cpu, memories in SIZES.items() for memory in memories])


@given(sizes, some.integers(0, 200), some.floats(0, 1e6), some.floats(0, 1e6), some.sampled_from(ARCHITECTURES))
def test_more_time_memory_and_storage_never_cost_less(
    size: Size, scratch: int, one: float, other: float, architecture: Architecture
) -> None:
    short, long = sorted((one, other))
    price = price_seconds(size, scratch, long, US, architecture)
    assert price is not None
    assert price >= (price_seconds(size, scratch, short, US, architecture) or 0)
    assert price <= (price_seconds(size, min(scratch + 10, 200), long, US, architecture) or 0)
    larger = Size(size.cpu, max(SIZES[size.cpu]))
    assert price <= (price_seconds(larger, scratch, long, US, architecture) or 0)
    assert bill_seconds(long) >= bill_seconds(short)


def test_arm_costs_less_than_x86_wherever_both_prices_are_known() -> None:
    for region in _list_regions():
        prices = build_prices(region, {})
        x86, arm = (price_seconds(Size(), 0, 3600, prices, one) for one in ARCHITECTURES)
        assert arm is None or (x86 is not None and 0.7 < arm / x86 < 0.9)


def _list_regions() -> set[str]:
    return {region for regions in _read_table().values() for region in regions}


def test_every_price_has_a_known_key_a_region_and_the_date_of_its_source() -> None:
    pattern = AwsSettings.model_json_schema()["properties"]["region"]["pattern"]
    for source, regions in _read_table().items():
        assert "AWS" in source
        for region, entry in regions.items():
            assert re.fullmatch(pattern, region)
            assert re.fullmatch(r"20\d\d(-\d\d){0,2}", entry["date"]), f"{source}, {region}"
            assert {*entry} - {"date"} <= {*CostSettings.model_fields} - {"region"}
            assert all(0 < value < 10 for key, value in entry.items() if key != "date")


def test_an_unknown_region_has_no_price_and_the_message_names_the_keys_to_set() -> None:
    nowhere = build_prices("mx-central-1", {})
    assert price_seconds(Size(), 0, 3600, nowhere) is None
    assert nowhere.explain_missing("fargate_vcpu_hour", "fargate_gb_hour") == (
        "no price for region mx-central-1: set fargate_vcpu_hour and fargate_gb_hour in [costs]"
    )


def test_prices_of_the_environment_replace_those_of_the_table() -> None:
    own = build_prices("mx-central-1", {"fargate_vcpu_hour": 1.0, "fargate_gb_hour": 0.5}, "[costs] of x.toml")
    assert price_seconds(Size(1024, 2048), 0, timedelta(hours=1).total_seconds(), own) == pytest.approx(2.0)
    assert own.sources["fargate_vcpu_hour"] == "[costs] of x.toml"
    cheaper = build_prices("us-east-1", {"fargate_vcpu_hour": 0.02})
    assert cheaper.values["fargate_vcpu_hour"] == 0.02
    assert cheaper.values["fargate_gb_hour"] == 0.004445
    assert "of 2026-09-23" in cheaper.sources["fargate_gb_hour"]
