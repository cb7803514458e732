"""Test that docs/engine-on-a-server.md lists every metric and health component."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "engine-on-a-server.md").read_text(encoding="utf-8")
SOURCE = ROOT / "src" / "nightferry" / "local"


def test_exactly_the_existing_metrics_are_described() -> None:
    described = {name.removesuffix("_total") for name in re.findall(r"`(nightferry_[a-z_]+)`", TEXT)}
    source = (SOURCE / "monitoring" / "metrics.py").read_text(encoding="utf-8")
    made = set(re.findall(r'"(nightferry_[a-z_]+)"', source))
    assert described == made


def test_every_health_component_is_described() -> None:
    parts = set(re.findall(r'found\["(\w+)"\]', (SOURCE / "monitoring" / "health.py").read_text(encoding="utf-8")))
    assert parts == {"services", "store", "disk", "scheduler", "engine"}
    for part in (*parts, "service NAME"):
        assert f"| `{part}` |" in TEXT
