"""Each group of verbs as a process: exit codes, standard output and standard error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import nightferry_process

pytestmark = pytest.mark.sampled(8)

ENDLESS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}}


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["run", "three"], 3, "leaving", ""),
        (["next", "nightly"], 2, "", "nightly"),
        (["states", "validate", "endless.json"], 1, "$", ""),
        (["logs", "no-such-run"], 2, "", "no-such-run"),
        (["--no-such-option"], 2, "", "--no-such-option"),
    ],
)
def test_exit_code_and_streams(root: Path, arguments: list[str], code: int, out: str, err: str) -> None:
    (root / "endless.json").write_text(json.dumps(ENDLESS))
    ended = nightferry_process(root, *arguments)
    assert ended.returncode == code, ended
    assert out in ended.stdout
    assert err in ended.stderr
