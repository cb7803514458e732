"""Lists and facts as JSON: one form for all pages, also for what an environment does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nightferry.backend.queries import Page
from nightferry.backend.starts import NotKnown


def describe_list(name: str, found: Page[Any] | NotKnown, *, rows: Sequence[Any] | None = None) -> dict[str, Any]:
    """Return a page of a list: its entries under their name, and in ``next`` the place after which it continues.

    ``rows`` are the entries as they may be shown, if they are not those of the page.
    """
    if isinstance(found, NotKnown):
        return {name: describe_unknown(found), "next": None}
    entries = [asdict(entry) for entry in found] if rows is None else list(rows)
    return {name: entries, "next": None if found.next is None else str(found.next)}


def describe_unknown(fact: NotKnown) -> dict[str, str]:
    """Return why a fact is not known."""
    return {"not_known": fact.reason}
