"""Random sequences of late, repeated and replayed files have the same result as in the slow reference."""

from __future__ import annotations

import random
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from nightferry.testing.tiers import LONG, SEED
from tests.dor import reference
from tests.dor.importing.test_importer_rules import COUNTRIES, STATES
from tests.dor.imports import DorWorld, contents, run_in_process, start
from tests.dor.lines import employer_line, quarter_line, wage_line

FEINS = ("100000001", "100000002")
KEYS = ("44100000001", "44100000002")
SSN = "250000001"
DIGITS = ("20200519000000", "20200520000000", "20200521000000", "20200522000000", "20200523000000")
INVALID_DIGITS = ("20201399000000", "29990101000000")
CHANGES = ("20200501120000", "20200502120000", "20200520120000", "20200521120000")


@dataclass(frozen=True)
class File:
    """A file, with the settings of the run that imports it: none, REIMPORT or ALLOW_OLDER_FILES."""

    name: str
    lines: tuple[bytes, ...]
    setting: str


@dataclass(frozen=True)
class Again:
    """The content of an earlier file, under its own name or a new one."""

    file: int
    name: str | None
    setting: str


@dataclass(frozen=True)
class Replay:
    """A replay of the rejected lines of an earlier file."""

    file: int


Step = File | Again | Replay


def make_steps(rng: random.Random) -> list[Step]:
    """Return a sequence in which most files have other values for the same few rows."""
    kinds = rng.choices(["wages", "employers", "again", "replay"], [4, 1, 3, 2], k=12)
    return [_make_step(rng, kind) for kind in kinds]


def _make_step(rng: random.Random, kind: str) -> Step:
    name = f"DORDFML_{rng.choice(DIGITS if rng.random() < 0.9 else INVALID_DIGITS)}"
    match kind:
        case "wages":
            lines = tuple(_make_wage_or_quarter(rng) for _ in range(rng.randint(1, 4)))
            return File(name, lines, rng.choice(["", "reimport", "allow"]))
        case "employers":
            lines = tuple(_make_employer(rng) for _ in range(rng.randint(1, 2)))
            return File(name.replace("DORDFML_", "DORDFMLEMP_"), lines, "")
        case "again":
            return Again(rng.randrange(9), rng.choice([None, None, name]), rng.choice(["", "reimport"]))
        case _:
            return Replay(rng.randrange(9))


def _make_wage_or_quarter(rng: random.Random) -> bytes:
    period = rng.choice(["20191231", "20200331", "20200331"])
    amount = f"{rng.randint(1, 9)}.00"
    if rng.random() < 0.3:
        updated = rng.choice([*CHANGES[:2], *CHANGES, "29990101000000"])
        return quarter_line(rng.choice(KEYS), period, total=amount, updated=updated)
    ssn = rng.choice([SSN] * 6 + ["123456789", "250000002"])
    return wage_line(ssn, rng.choice(KEYS), period, last=rng.choice(["Berg", "Dahl", "Sund"]), quarter=amount)


def _make_employer(rng: random.Random) -> bytes:
    fein = rng.choice([*FEINS, FEINS[1], "999999999"])
    key = KEYS[FEINS.index(fein)] if fein in FEINS else KEYS[0]
    updated = rng.choice([*CHANGES, "29990101000000"])
    return employer_line(fein, key, name=rng.choice(["Boats", "Ships"]), updated=updated)


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    return DorWorld(database, tmp_path / "dor")


# In 13, a repeated import retains later wages; in 15, a later name.
@pytest.mark.sampled(2)
@pytest.mark.parametrize("number", range(100) if LONG else (13, 15))
def test_tables_match_the_reference(world: DorWorld, number: int) -> None:
    expected = reference.Database(STATES, COUNTRIES)
    for environment, file, result in list_runs(make_steps(random.Random(SEED + number)), expected):
        if file:
            world.put(*file)
        assert run_in_process(world, **environment) == result
        if file:
            (world.received / file[0]).unlink(missing_ok=True)
    assert contents(world) == reference.contents(expected)


def list_runs(
    steps: list[Step], expected: reference.Database
) -> list[tuple[dict[str, str], tuple[str, bytes] | None, int]]:
    """Apply the steps to the reference; return the settings, the file and the exit code of each run."""
    runs: list[tuple[dict[str, str], tuple[str, bytes] | None, int]] = []
    known: list[tuple[str, bytes]] = []
    for step in [File("DORDFMLEMP_1", (employer_line(),), ""), *steps]:
        if isinstance(step, Replay):
            name = known[step.file % len(known)][0]
            result = 0 if any(each.name == name for each in expected.imports) else 1
            reference.replay(expected, name)
            runs.append(({"REPLAY": name}, None, result))
            continue
        if isinstance(step, File):
            name, content = step.name, b"\n".join(step.lines)
        else:
            old, content = known[step.file % len(known)]
            name = step.name if step.name and old.startswith("DORDFML_") else old
        known.append((name, content))
        forced, allow = step.setting == "reimport", step.setting == "allow"
        counts = reference.import_file(expected, name, content, 1, forced=forced, allow_older=allow)
        environment = {"REJECTED_SHARE_LIMIT": "1", "ALLOW_OLDER_FILES": str(allow)}
        environment |= {"REIMPORT": name} if forced else {}
        runs.append((environment, (name, content), 1 if counts is None else 0))
    return runs


@pytest.mark.parametrize("number", range(12 if LONG else 1))
def test_run_killed_at_any_time_has_the_result_of_an_undisturbed_run(world: DorWorld, number: int) -> None:
    rng = random.Random(SEED + number)
    late = employer_line(FEINS[1], KEYS[1])
    wages = tuple(wage_line(SSN, key, quarter=f"{amount}.00") for key, amount in zip(KEYS, (1, 2), strict=True))
    steps = [
        File("DORDFML_20200519000000", wages, ""),
        File("DORDFML_20200521000000", (wage_line(SSN, KEYS[0], quarter="3.00", last="Sund"),), ""),
        File("DORDFMLEMP_20200522000000", (late,), ""),
        *([Replay(1)] if rng.random() < 0.5 else [Again(1, None, "")]),
        Again(1, None, "reimport"),
    ]
    expected = reference.Database(STATES, COUNTRIES)
    runs = list_runs(steps, expected)
    for position, (environment, file, result) in enumerate(runs):
        if file:
            world.put(*file)
        if position < len(runs) - 2:
            assert run_in_process(world, **environment) == result
            continue
        process = start(world, **environment)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=rng.uniform(0.1, 0.8))
        process.kill()
        process.communicate()
        if file is None or (world.received / file[0]).exists():
            assert run_in_process(world, **environment) == result
    after = {name: rows for name, rows in contents(world).items() if name not in ("rejects", "open_rejects")}
    assert after == {name: rows for name, rows in reference.contents(expected).items() if name in after}
    assert not list(world.received.iterdir())
