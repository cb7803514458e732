"""Random sequences of late, repeated and replayed files have the same result as in the slow reference."""

from __future__ import annotations

import random
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import LONG, SEED
from tests.dor import reference
from tests.dor.importing.test_importer_rules import COUNTRIES, STATES
from tests.dor.imports import DorWorld, contents, run_in_process, start
from tests.dor.lines import employer_line, quarter_line, wage_line

FEINS = ("100000001", "100000002")
KEYS = ("44100000001", "44100000002")
SSNS = ("250000001", "250000002")
QUARTERS = ("20191231", "20200331")
DIGITS = ("20200519000000", "20200520000000", "20200521000000", "20200522000000", "20201399000000", "29990101000000")

employer_lines = st.builds(
    employer_line,
    st.sampled_from([*FEINS, *FEINS, "999999999"]),
    st.sampled_from(KEYS),
    name=st.sampled_from(["Boats", "Ships"]),
    updated=st.sampled_from(["20200501120000", "20200502120000", "20200521120000", "29990101000000"]),
)
quarter_lines = st.builds(
    quarter_line,
    st.sampled_from(KEYS),
    st.sampled_from(QUARTERS),
    total=st.sampled_from(["1.00", "2.00"]),
    updated=st.sampled_from(["20200501120000", "20200502120000", "20200521120000"]),
)
wage_lines = st.builds(
    wage_line,
    st.sampled_from([*SSNS, *SSNS, *SSNS, "123456789"]),
    st.sampled_from(KEYS),
    st.sampled_from(QUARTERS),
    last=st.sampled_from(["Berg", "Dahl", "Sund"]),
    quarter=st.sampled_from(["1.00", "2.00", "3.00"]),
)


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


digits = st.sampled_from(DIGITS)
some_settings = st.sampled_from(["", "", "reimport", "allow"])
wage_files = st.builds(
    File,
    digits.map("DORDFML_{}".format),
    st.lists(st.one_of(wage_lines, wage_lines, quarter_lines), min_size=1, max_size=5).map(tuple),
    some_settings,
)
employer_files = st.builds(
    File,
    digits.map("DORDFMLEMP_{}".format),
    st.lists(employer_lines, min_size=1, max_size=2).map(tuple),
    st.just(""),
)
positions = st.integers(0, 9)
again = st.builds(Again, positions, st.none() | digits.map("DORDFML_{}".format), some_settings)
replays = st.builds(Replay, positions)
sequences = st.lists(
    st.one_of(wage_files, wage_files, wage_files, employer_files, again, replays, replays), min_size=4, max_size=9
)


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    return DorWorld(database, tmp_path / "dor")


@settings(
    max_examples=300 if LONG else 5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(sequences)
def test_tables_match_the_reference(world: DorWorld, steps: list[File | Again | Replay]) -> None:
    world.clear()
    expected = reference.Database(STATES, COUNTRIES)
    for environment, file, result in list_runs(steps, expected):
        if file:
            world.put(*file)
        assert run_in_process(world, **environment) == result
        if file:
            (world.received / file[0]).unlink(missing_ok=True)
    assert contents(world) == reference.contents(expected)


def list_runs(
    steps: list[File | Again | Replay], expected: reference.Database
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
    wages = tuple(wage_line(SSNS[0], key, quarter=f"{amount}.00") for key, amount in zip(KEYS, (1, 2), strict=True))
    steps = [
        File("DORDFML_20200519000000", wages, ""),
        File("DORDFML_20200521000000", (wage_line(SSNS[0], KEYS[0], quarter="3.00", last="Sund"),), ""),
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
