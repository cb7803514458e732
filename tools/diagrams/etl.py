"""The workflow from DOR to FINEOS, drawn by the dashboard."""

from __future__ import annotations

import re

from markupsafe import Markup

from nightferry.dashboard.pages.executions.graph import build_graph
from nightferry.dashboard.svg import graph
from paidleave.catalog import catalog
from paidleave.catalog.workflows import LOADERS, dor_fineos_etl
from tools.diagrams.figure import finish

NAME = "etl"
_STYLE = """
.box, .frame { fill: #eef3fa; stroke: #6d86a8; }
.frame { fill: none; }
.lane { stroke-dasharray: 5 4; }
.name { fill: #1b2430; font-size: 14px; font-weight: 600; }
@media (prefers-color-scheme: dark) {
.box, .frame { fill: #1b2735; stroke: #6f8db3; }
.frame { fill: none; }
.name { fill: #eef2f7; }
}
"""
_PICTURE = re.compile(r'<svg [^>]*width="([0-9.]+)" height="([0-9.]+)"[^>]*><title>.*?</title>(.*)</svg>', re.DOTALL)


def draw() -> Markup:
    """Return the figure."""
    built = build_graph(dor_fineos_etl.definition, _describe)
    found = _PICTURE.fullmatch(str(graph.draw(built, dor_fineos_etl.name)))
    assert found is not None
    return finish(
        f"The states of the workflow {dor_fineos_etl.name}",
        f"{dor_fineos_etl.description} Each state runs a task and begins when the state before it has succeeded.",
        float(found[1]),
        float(found[2]),
        [Markup(found[3].replace("><", ">\n<"))],
        style=_STYLE,
    )


def _describe(name: str, kind: str) -> tuple[str, str, str]:
    """Return no status, no glyph, and the description of a task or the number of runs of a Map."""
    if kind == "Map":
        return "", "", f"{LOADERS} runs at the same time"
    return "", "", catalog.tasks[name].description if name in catalog.tasks else ""
