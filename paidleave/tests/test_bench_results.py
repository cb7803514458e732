"""``make bench`` measures all its benchmarks, and ``make bench-compare`` shows the changes between two runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from benchmarks import compare  # noqa: E402
from benchmarks.__main__ import run_all  # noqa: E402
from benchmarks.results import Figure, Results, format_table  # noqa: E402
from benchmarks.results import compare as list_changes  # noqa: E402

BEFORE = Results(
    time="2026-12-01T01:00:00+00:00",
    commit="a1",
    machine={"cores": "2"},
    versions={"Python": "3.11.9", "pgloader": "3.6.9"},
    seconds={"load": 60.0, "old": 1.0},
    figures=[
        Figure("load", "load / COPY", 0.8, "", "at least 1", True, "more"),
        Figure("load", "peak memory", 200, "MB", "", False, "less"),
        Figure("old", "start", 2, "times", "", False, "less"),
    ],
)
AFTER = replace(
    BEFORE,
    commit="b2",
    versions={"Python": "3.12.1", "pgloader": "3.6.9"},
    seconds={"load": 60.0, "new": 1.0},
    failed=["new"],
    figures=[
        Figure("load", "load / COPY", 1.2, "", "at least 1", False, "more"),
        Figure("load", "peak memory", 300, "MB", "", False, "less"),
        Figure("load", "rows", 10, "", "", False, "more"),
    ],
)


def test_a_benchmark_that_fails_or_misses_a_limit_does_not_prevent_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    judge = "from benchmarks.judge import Limit, Ratio, judge, note_version; "
    codes = {
        "crashed": judge + "note_version('peer', 'not installed'); 1 / 0",
        "missed": judge + "judge(Ratio('speed', 0.5, 1), Limit('memory', 5, None, 'MB'))",
        "good": judge + "judge(Ratio('ratio', 2, 1))",
    }
    results = run_all({name: [sys.executable, "-W", "error", "-c", code] for name, code in codes.items()})
    assert results.failed == ["crashed"]
    assert [(one.benchmark, one.name, one.missed) for one in results.figures] == [
        ("missed", "speed", True),
        ("missed", "memory", False),
        ("good", "ratio", False),
    ]
    table = "\n".join(format_table(results))
    assert "crashed: FAILED" in table
    assert "Not installed, and therefore not measured: peer" in table
    monkeypatch.chdir(tmp_path)
    assert Results.read(results.write()) == results


def test_the_change_of_each_figure_is_shown() -> None:
    assert list(list_changes(BEFORE, AFTER)) == [
        "commit: a1 → b2",
        "Python: 3.11.9 → 3.12.1",
        f"{'':62} {'A':>10} {'B':>10} {'':5}  change",
        "── load",
        f"{'load / COPY':62} {'0.8':>10} {'1.2':>10} {'':5}  +50% better  now ok",
        f"{'peak memory':62} {'200':>10} {'300':>10} {'MB':5}  +50% WORSE",
        f"{'rows':62} {'–':>10} {'10':>10}",
        "── new: not run in A, failed in B",
        "── old: not run in B",
        f"{'start':62} {'2':>10} {'–':>10} times",
    ]


def test_amounts_of_different_machines_are_not_compared() -> None:
    lines = list(list_changes(BEFORE, replace(AFTER, machine={"cores": "8"})))
    assert "cores: 2 → 8" in lines
    assert "The machines differ. Only ratios are compared." in lines
    assert f"{'load / COPY':62} {'0.8':>10} {'1.2':>10} {'':5}  +50% better  now ok" in lines
    assert f"{'peak memory':62} {'200':>10} {'300':>10} MB" in lines


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b"{}", b'{"figures": 1}', b'{"figures": [{}]}', b"\xff", "folder"]
)
def test_a_file_without_results_is_reported(tmp_path: Path, content: bytes | str | None) -> None:
    file = tmp_path / "results.json"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        file.mkdir()
    with pytest.raises(SystemExit, match=r"results\.json") as error:
        Results.read(file)
    assert "make bench" in str(error.value)


def test_two_files_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", "a.json", ""])
    with pytest.raises(SystemExit, match="Give two files"):
        compare.main()
