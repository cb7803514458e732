"""The graph of a definition with the states of an execution. Without ``everything``, the plumbing is left out.

The plumbing are Pass states, Choice states that always lead to the same state, and the states that apply the overlap
policy on AWS. States that only a Catch reaches are one lane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nightferry.dashboard.svg.graph import Graph, Node
from nightferry.terraform.overlap import STATE_PREFIX

Describe = Callable[[str, str], tuple[str, str, str]]
"""A function that returns the status, its glyph and a note for the name and type of a state."""

Program = Mapping[str, Any]


def build_graph(program: Program, describe: Describe, *, everything: bool = False) -> Graph:
    """Return the graph of a machine or branch."""
    states: Mapping[str, Any] = program["States"]
    normal = _reach([program["StartAt"]], states, catches=False)
    if everything:
        shown, caught = list(states), []
    else:
        shown = _select(states, normal, describe)
        caught = [name for name in states if name not in normal and name in _reach(normal, states, catches=True)]
    return Graph(
        tuple(_make_node(name, states[name], describe, everything) for name in _put_first(shown, program["StartAt"])),
        tuple(_list_edges(shown, states, everything)),
        tuple(_make_node(name, states[name], describe, everything) for name in caught),
    )


def is_plumbing(name: str, kind: str) -> bool:
    """Return True for a state that does no work of the workflow; a Choice may be one."""
    return kind in ("Pass", "Choice") or name.startswith(STATE_PREFIX)


def _make_node(name: str, state: Mapping[str, Any], describe: Describe, everything: bool) -> Node:
    kind = str(state.get("Type", ""))
    programs = list(state.get("Branches", ()))
    if (processor := state.get("ItemProcessor") or state.get("Iterator")) is not None:
        programs.append(processor)
    graphs = tuple(build_graph(one, describe, everything=everything) for one in programs)
    return Node(name, kind, *describe(name, kind), graphs)


def _put_first(names: list[str], start: str) -> list[str]:
    return sorted(names, key=lambda name: name != start)


def list_targets(state: Mapping[str, Any], *, catches: bool) -> list[tuple[str, str]]:
    """Return the names that a state leads to, once each, with ``next`` or ``catch``."""
    found = [(str(state["Next"]), "next")] if "Next" in state else []
    found += [(str(choice["Next"]), "next") for choice in state.get("Choices", ()) if "Next" in choice]
    if "Default" in state:
        found.append((str(state["Default"]), "next"))
    if catches:
        found += [(str(catcher["Next"]), "catch") for catcher in state.get("Catch", ())]
    return list(dict.fromkeys(found))


def _reach(start: list[str], states: Mapping[str, Any], *, catches: bool) -> list[str]:
    """Return the names that can be reached from ``start``, in the order of the distance."""
    found, queue = dict.fromkeys(start), deque(start)
    while queue:
        for target, _ in list_targets(states[queue.popleft()], catches=catches):
            if target not in found and target in states:
                found[target] = None
                queue.append(target)
    return list(found)


def _select(states: Mapping[str, Any], normal: list[str], describe: Describe) -> list[str]:
    """Return the states that are shown: all but the plumbing. What failed is always shown."""
    plumbing = {name for name in normal if is_plumbing(name, str(states[name].get("Type")))}
    plumbing -= {name for name in plumbing if describe(name, str(states[name].get("Type")))[0] == "failed"}
    for name in normal:
        if name.startswith(STATE_PREFIX):
            continue
        if name in plumbing and states[name].get("Type") == "Choice" and len(set(_pass(name, states, plumbing))) > 1:
            plumbing.discard(name)
    return [name for name in normal if name not in plumbing] or normal


def _pass(name: str, states: Mapping[str, Any], hidden: set[str]) -> Iterator[str]:
    """Yield the states after a state, through hidden ones. The end of the branch is an empty name."""
    queue, seen = deque([name]), {name}
    while queue:
        current = queue.popleft()
        targets = [target for target, _ in list_targets(states[current], catches=False) if target in states]
        if not targets and current != name:
            yield ""
        for target in targets:
            if target not in hidden:
                yield target
            elif target not in seen:
                seen.add(target)
                queue.append(target)


def _list_edges(shown: list[str], states: Mapping[str, Any], everything: bool) -> Iterator[tuple[str, str, str]]:
    """Yield the ways between the shown states, also those through states that are not shown."""
    if everything:
        for name in shown:
            for target, kind in list_targets(states[name], catches=True):
                if target in states:
                    yield name, target, kind
        return
    hidden = states.keys() - set(shown)
    for name in shown:
        for target in dict.fromkeys(_pass(name, states, set(hidden))):
            if target:
                yield name, target, "next"
