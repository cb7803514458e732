"""The diagrams of the documents are those that the code makes, and are readable.

The facts are compared with other sources: the folders, the catalog and the synthesized files.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from lxml import etree

from paidleave.catalog import catalog

ROOT = Path(__file__).parents[2]
DIAGRAMS = sorted((ROOT / "docs" / "diagrams").glob("*.svg"))
TEST = ROOT / "paidleave" / "infra" / "ecs-tasks" / "test"

# The widths of letters in DejaVu Sans, the widest of the usual system fonts, in hundredths of the size.
_WIDTHS = [
    (28, "ijl'"), (32, " ,.IJ"), (36, "/:;\\|f-"), (41, "()[]t!r"), (50, '*_`"'), (55, "sz?c"), (60, "LFkvxyP"),
    (63, "TYaoeESbdghnpqu"), (66, "$0123456789{}K"), (70, "AVBRXZC"), (79, "UHNDG&OQ"), (86, "w#+<=>^~→M"),
]  # fmt: skip
WIDTHS = {letter: width for width, letters in _WIDTHS for letter in letters}
BOLD = 1.12
SIZES = {"title": 14.5, "heading": 14.5, "name": 14.5, "note": 13.5, "label": 13.5}


class Area(NamedTuple):
    """A box or the area of a text; ``name`` is the text or the class of the box."""

    left: float
    top: float
    right: float
    bottom: float
    name: str

    def overlaps(self, other: Area) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def contains(self, other: Area) -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )


def read_areas(path: Path) -> Iterator[tuple[str, Area]]:
    """Yield the boxes and texts of a diagram with their element, the page first."""
    for node in etree.fromstring(path.read_bytes()).iter("{*}rect", "{*}text"):
        x, y = float(node.get("x")), float(node.get("y"))
        for parent in node.iterancestors("{*}g"):
            dx, dy = map(float, re.findall(r"[-0-9.]+", parent.get("transform")))
            x, y = x + dx, y + dy
        if node.tag.endswith("rect"):
            yield "rect", Area(x, y, x + float(node.get("width")), y + float(node.get("height")), node.get("class"))
            continue
        size = SIZES[node.get("class")]
        width = sum(WIDTHS.get(letter, 100) for letter in node.text) * size / 100 * (BOLD if size > 14 else 1)
        left = x - width / 2 if node.get("text-anchor") == "middle" else x
        yield "text", Area(left, y - size * 0.76, left + width, y + size * 0.24, node.text)


def read_texts(name: str, *classes: str) -> list[str]:
    found = etree.parse(ROOT / "docs" / "diagrams" / name).iter("{*}text")
    return [node.text for node in found if node.get("class") in classes]


def test_the_diagrams_are_made_from_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from tools.diagrams import file_life
    from tools.diagrams.all import make_all

    made = make_all()

    assert {path.name for path in DIAGRAMS} == made.keys()
    changed = [path.name for path in DIAGRAMS if path.read_text(encoding="utf-8") != made[path.name]]
    assert changed == [], "Write them with make diagrams."
    monkeypatch.setattr(file_life, "_STEPS", file_life._STEPS[::-1])
    with pytest.raises(ValueError, match="other states or steps"):
        file_life.check_states()


@pytest.mark.parametrize("path", DIAGRAMS, ids=lambda path: path.stem)
def test_no_texts_and_boxes_overlap(path: Path) -> None:
    found = list(read_areas(path))
    page, *boxes = (area for kind, area in found if kind == "rect")
    texts = [area for kind, area in found if kind == "text"]

    assert page.right <= 1000  # a page of 900 pixels shows the notes with 12 pixels
    assert all(page.contains(area) for area in (*boxes, *texts))
    assert [pair for pair in itertools.combinations(texts, 2) if pair[0].overlaps(pair[1])] == []
    for area, box in itertools.product((*boxes, *texts), boxes):
        assert not area.overlaps(box) or box.contains(area) or area.contains(box), (area, box)


@pytest.mark.parametrize("path", DIAGRAMS, ids=lambda path: path.stem)
def test_a_diagram_has_a_title_and_a_description(path: Path) -> None:
    root = etree.parse(path).getroot()

    assert root.get("aria-labelledby") == "title description"
    assert len(root.findtext("{*}title")) > 20
    assert len(root.findtext("{*}desc")) > 60


@pytest.mark.parametrize("project", ["nightferry", "paidleave"])
def test_each_package_is_shown(project: str) -> None:
    source = ROOT / project / "src" / project
    packages = {path.stem for path in source.iterdir() if path.suffix in ("", ".py") and not path.name.startswith("_")}
    shown = read_texts("packages.svg" if project == "nightferry" else "packages-paidleave.svg", "title", "note")

    divided = {package for package in packages if f"in {package}" in shown}
    assert packages - divided <= {*shown}


def test_the_numbers_of_resources_are_those_of_the_catalog() -> None:
    titles = [*read_texts("aws-resources.svg", "title"), *read_texts("aws-failures.svg", "title")]
    alarms = json.loads((TEST / "alarms.tf.json").read_text(encoding="utf-8"))

    assert {
        f"{len(catalog.tasks)} task definitions",
        f"{len(catalog.workflows)} state machines",
        f"{len(catalog.schedules)} schedules",
        f"{len(catalog.object_triggers)} trigger functions",
        f"{len(alarms['resource']['aws_cloudwatch_metric_alarm'])} alarms",
    } <= {*titles}


def test_the_workflow_has_the_tasks_of_the_synthesized_state_machine() -> None:
    definition = (TEST / "workflows" / "dor-fineos-etl.asl.json").read_text(encoding="utf-8")
    tasks = re.findall(r'"TaskDefinition": "\$\{task_([a-z_]+)\}', definition)

    assert [name for name in read_texts("etl.svg", "name") if name in catalog.tasks] == [
        task.replace("_", "-") for task in tasks
    ]
