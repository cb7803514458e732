"""Loaders killed at random and a server with every fault: no employer is lost or duplicated."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from nightferry.testing.tiers import LONG, SEED

EMPLOYERS = 40
EVERY_FAULT = {
    "unavailable": 0.06,
    "gateway_timeout": 0.04,
    "rate_limited": 0.04,
    "socket_timeout": 0.04,
    "server_error": 0.03,
    "garbage": 0.03,
    "drop_before": 0.06,
    "late_timeout": 0.06,
    "late_garbage": 0.03,
    "drop_after": 0.06,
    "token_unavailable": 0.2,
    "latency_ms": 5,
}


def count_calls(simulator: Any) -> int:
    return sum(sum(outcomes.values()) for outcomes in simulator.state()["calls"].values())


def assert_each_employer_exists_once(employers: Any, simulator: Any) -> None:
    parties = {party["customer"]: party for party in simulator.parties()}
    rows = employers.query("SELECT employer_id::text, fineos_employer_id, medical_exemption FROM employer")
    assert len(rows) == len(parties) == EMPLOYERS
    assert len(simulator.parties()) == EMPLOYERS
    for employer, number, medical in rows:
        assert parties[employer]["number"] == number
        plans = parties[employer]["agreement"]["plans"]
        assert plans == ["MA PFML - Employee"] * (not medical) + ["MA PFML - Family", "MA PFML - Military Care"]
    assert employers.queue() == 0


@pytest.mark.parametrize("seed", range(SEED, SEED + 4) if LONG else [1])
def test_loaders_killed_at_random_and_every_fault(employers: Any, simulator: Any, seed: int) -> None:
    rng = random.Random(seed)
    employers.add_many(EMPLOYERS)
    employers.environment["EMPLOYER_LOAD_ATTEMPT_LIMIT"] = "100"  # A status 500 counts as an attempt of the employer.
    simulator.stop()
    simulator.start("--seed", str(seed))
    simulator.faults(**EVERY_FAULT)
    for _ in range(3):
        loaders = [employers.start(f"--process-id={n}", EMPLOYER_LOAD_CONCURRENCY=4) for n in (1, 2)]
        target = count_calls(simulator) + rng.randrange(1, 50)
        while count_calls(simulator) < target and any(loader.poll() is None for loader in loaders):
            time.sleep(0.01)
        for loader in loaders:
            loader.kill()
            loader.wait()
        if not employers.queue():
            break
    simulator.faults()
    employers.load()
    assert_each_employer_exists_once(employers, simulator)


def test_a_server_killed_during_the_load(employers: Any, simulator: Any) -> None:
    employers.add_many(EMPLOYERS)
    simulator.faults(latency_ms=20)
    loader = employers.start(FINEOS_CLIENT_BACKOFF="0.2", FINEOS_CLIENT_ATTEMPTS="20")
    for target in (10, 35):
        while count_calls(simulator) < target and loader.poll() is None:
            time.sleep(0.01)
        simulator.stop(kill=True)
        simulator.start()
    assert loader.wait(60) == 0, employers.output()
    assert_each_employer_exists_once(employers, simulator)
