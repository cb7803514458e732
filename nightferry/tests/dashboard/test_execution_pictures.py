"""The pictures of executions: their text is always the same, and no workflow makes them fail."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from nightferry.backend.states.reader import StateReader
from nightferry.backend.states.values import ITEM_STATUSES
from nightferry.catalog.declarations import Workflow
from nightferry.dashboard.pages.executions.graph import build_graph
from nightferry.dashboard.pages.executions.timeline import make_rows, make_scale
from nightferry.dashboard.site import Site
from nightferry.dashboard.svg import graph, items, timeline
from nightferry.dashboard.svg.graph import Graph
from nightferry.dashboard.svg.layout import Layout, Place, lay_out
from nightferry.dashboard.svg.time_scale import WIDTH, Scale, Span
from nightferry.states import ContextInfo, Execution
from nightferry.terraform.overlap import apply_policy
from nightferry.testing.tiers import examples
from tests.states.definitions import definitions
from tests.states.driver import START, drive


def none(name: str, kind: str) -> tuple[str, str, str]:
    return "", "", ""


def list_names(found: Graph) -> list[str]:
    nodes = [*found.nodes, *found.on_failure]
    return [name for node in nodes for name in (node.name, *(n for one in node.graphs for n in list_names(one)))]


def seconds(number: float) -> Any:
    return START + timedelta(seconds=number)


def test_the_graph_of_jobs_and_a_map_is_a_column_without_plumbing(site: Site) -> None:
    """This workflow has the shape of the nightly one of the demo: jobs, then a Map of jobs, then a job."""
    workflow: Workflow = site.catalog.workflows["marks"]
    built = build_graph(workflow.definition, none)
    assert [node.name for node in built.nodes] == ["mark", "each mark", "last"]
    assert built.edges == (("mark", "each mark", "next"), ("each mark", "last", "next"))
    assert str(graph.draw(built, "marks")) == str(graph.draw(built, "marks"))
    assert build_graph(apply_policy(workflow), none).edges == built.edges
    texts = etree.fromstring(str(graph.draw(built, "marks"))).xpath("//*[@class='name']/text()")
    assert texts == ["mark", "each mark", "mark 2", "last"]


def test_the_text_of_a_picture_is_known() -> None:
    scale = Scale(START, seconds(100))
    spans = [Span(START, seconds(10), "failed"), Span(seconds(20), seconds(60), "open")]
    assert str(timeline.draw(scale, spans, 30, "running")) == (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="running" viewBox="0 0 1000 24"'
        ' preserveAspectRatio="none" class="timeline"><title>running</title><path d="M0 23H1000" class="axis"/>'
        '<rect x="0" y="5" width="100" height="14" class="span failed"/>'
        '<path d="M46.0 8l8 8m0 -8l-8 8" class="cross"/>'
        '<rect x="200" y="5" width="400" height="14" class="span open"/>'
        '<path d="M600.0 5l5 7l-5 7z" class="span open"/><path d="M500.0 1V22" class="usual"/></svg>'
    )
    assert str(items.draw_strip(bytes([4] * 250 + [0, 4]), "strip")) == (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="strip" viewBox="0 0 200 2"'
        ' preserveAspectRatio="none" class="item-strip"><title>strip</title>'
        '<path d="M50 1h1v1h-1z" class="item failed"/>'
        '<path d="M0 0h200v1h-200zM0 1h50v1h-50zM51 1h1v1h-1z" class="item succeeded"/></svg>'
    )
    two = Graph(
        (graph.Node("a", "Task", "succeeded", "✓", "2.0 s"), graph.Node("<b>", "Task")), (("a", "<b>", "next"),)
    )
    assert str(graph.draw(two, "two")) == (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="two" viewBox="0 0 152 144" width="152"'
        ' height="144" class="graph"><title>two</title>'
        '<path d="M76.0 58.0L76.0 86.0m-4 -6l4 6l4 -6" class="edge next"/>'
        '<rect x="16" y="16" width="120" height="42" rx="6" class="box succeeded"/>'
        '<text x="24" y="34" class="name">✓ a</text><text x="24" y="50" class="note">2.0 s</text>'
        '<rect x="16" y="86" width="120" height="42" rx="6" class="box none"/>'
        '<text x="24" y="112" class="name">&lt;b&gt;</text></svg>'
    )


def test_only_a_gap_longer_than_half_is_cut() -> None:
    spans = [Span(START, seconds(10), "succeeded"), Span(seconds(90), seconds(100), "succeeded")]
    scale = Scale.fit(spans, START, seconds(100))
    assert scale.cuts == ((seconds(10), seconds(90)),)
    assert [round(scale.locate(seconds(n))) for n in (0, 10, 50, 90, 100)] == [0, 480, 500, 520, 1000]
    assert Scale.fit([*spans, Span(seconds(50), seconds(51), "failed")], START, seconds(100)).cuts == ()


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(definitions(), st.data())
def test_every_workflow_has_a_timeline_and_a_graph(definition: dict[str, Any], data: st.DataObject) -> None:
    execution = Execution.start(definition, {}, context=ContextInfo(start_time=START), now=START)
    history = drive(execution).history
    reader = StateReader()
    reader.add(history[: data.draw(st.integers(0, len(history)))])
    states = reader.list_states()
    maps = {(one.path, one.visit): one.summarize() for one in reader.list_maps()}
    now = history[-1].timestamp
    rows = make_rows(states, maps, {}, lambda task: 60.0, ended=False, now=now)
    assert [(row.state.path, row.state.visit) for row in rows] == [
        (state.path, state.visit) for state in states if state.type == "Task"
    ]
    assert all(len(row.spans) == max(row.state.attempts, 1) for row in rows)
    scale = make_scale(rows, START, now)
    for row in rows:
        etree.fromstring(str(timeline.draw(scale, row.spans, 60, row.status)))
        assert all(0 <= scale.locate(span.start) <= scale.locate(span.stop) <= WIDTH for span in row.spans)
    for everything in (False, True):
        built = build_graph(definition, none, everything=everything)
        names = list_names(built)
        assert len(names) == len(set(names))
        etree.fromstring(str(graph.draw(built, "graph")))
        assert str(graph.draw(built, "graph")) == str(graph.draw(built, "graph"))
    assert {state.name for state in states} <= set(names)


def overlaps(one: Place, other: Place) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30), st.randoms())
def test_boxes_of_any_graph_have_places_of_their_own(
    count: int, edges: list[tuple[int, int]], numbers: random.Random
) -> None:
    sizes: dict[Any, tuple[float, float]] = {
        n: (numbers.uniform(50, 200), numbers.uniform(20, 90)) for n in range(count)
    }
    wanted = [(a, b) for a, b in edges if a < count and b < count]
    layout: Layout = lay_out(sizes, wanted)
    assert layout.places.keys() == sizes.keys()
    assert len(layout.lines) == len(wanted)
    for one, other in itertools.combinations(layout.places.values(), 2):
        assert not overlaps(one, other)
    for place in layout.places.values():
        assert 0 <= place.x <= place.x + place.width <= layout.width + 0.01
        assert 0 <= place.y <= place.y + place.height <= layout.height + 0.01


@given(st.binary(max_size=2000).map(lambda raw: bytes(one % len(ITEM_STATUSES) for one in raw)))
@settings(max_examples=examples(30), deadline=None)
def test_the_strip_has_one_path_for_each_status_and_a_cell_for_each_item(statuses: bytes) -> None:
    picture = etree.fromstring(str(items.draw_strip(statuses, "strip")))
    paths = picture.xpath("//*[local-name()='path']")
    assert len(paths) == len(set(statuses))
    cells = sum(int(piece.split("h")[1].split("v")[0]) for one in paths for piece in one.get("d").split("M")[1:])
    assert cells == len(statuses)
