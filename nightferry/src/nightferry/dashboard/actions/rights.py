"""The right that each action needs, and the rights of a dashboard. Hiding a button is not a check; ``perform`` is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nightferry.backend.actions import ActionName
from nightferry.errors import NightferryError

Right = Literal["read", "operate"]


class NotPermitted(NightferryError):
    """The dashboard does not have the right that an action needs."""


class TooManyActions(NightferryError):
    """A session requests more actions than a person does."""


@dataclass(frozen=True)
class ActionKind:
    """An action that pages offer: the right that it needs, and whether it starts work that an engine must continue."""

    right: Right
    starts_work: bool


ACTIONS: Mapping[ActionName, ActionKind] = {
    "run": ActionKind("operate", starts_work=True),
    "run-again": ActionKind("operate", starts_work=True),
    "start": ActionKind("operate", starts_work=True),
    "stop": ActionKind("operate", starts_work=False),
    "redrive": ActionKind("operate", starts_work=True),
    "redrive-run": ActionKind("operate", starts_work=True),
    "retry-group": ActionKind("operate", starts_work=True),
    "backfill": ActionKind("operate", starts_work=True),
    "catch-up": ActionKind("operate", starts_work=True),
    "test-notice": ActionKind("operate", starts_work=False),
}
"""Every action of the pages. One that is not listed cannot be performed."""


def get_rights(*, actions: bool) -> frozenset[Right]:
    """Return the rights of a dashboard that offers actions, or only reads."""
    return frozenset(("read", "operate") if actions else ("read",))
