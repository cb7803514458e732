"""All object triggers: their last starts, and the number of starts that AWS gave up after its retries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta

from starlette.responses import Response

from nightferry.backend.errors import Refused
from nightferry.backend.queries import Count
from nightferry.backend.starts import NotKnown, Start, StartFilter, make_source
from nightferry.catalog.declarations import ObjectTrigger
from nightferry.catalog.references import find_references, substitute
from nightferry.dashboard.listing import describe_unknown
from nightferry.dashboard.view import View

_RECENT = timedelta(days=7)
_LAST = timedelta(days=35)


@dataclass(frozen=True)
class TriggerRow:
    """A trigger with its last start. ``switch`` is the setting that enables it, or None."""

    declared: ObjectTrigger
    enabled: bool
    switch: str | None
    last: Start | NotKnown | None
    recent: Count | NotKnown

    @property
    def objects(self) -> str:
        """Return the pattern of the keys of its objects."""
        return f"{self.declared.prefix}*{self.declared.suffix}"


def show(view: View) -> Response:
    """Show all triggers."""
    rows = [make_row(view, trigger) for trigger in view.catalog.object_triggers.values()]
    since = view.site.clock.now() - _RECENT
    letters = count_dead_letters(view)
    return view.page(
        "triggers.html",
        title="Triggers",
        json={
            "triggers": [
                asdict(row.declared) | {"enabled": row.enabled, "last_start": describe_fact(row.last)} for row in rows
            ],
            "dead_letters": describe_unknown(letters) if isinstance(letters, NotKnown) else dict(letters),
        },
        live=True,
        rows=rows,
        since=since,
        letters=letters,
    )


def make_row(view: View, trigger: ObjectTrigger) -> TriggerRow:
    """Return a trigger with its last start."""
    settings, now = view.environment.settings, view.site.clock.now()
    enabled = substitute(trigger.enabled, lambda reference: settings[reference.name]) == "true"
    source = make_source("trigger", trigger.name)
    starts = view.backend.starts(StartFilter(source, since=now - _LAST), limit=1)
    return TriggerRow(
        trigger,
        enabled,
        next((found.name for found in find_references(trigger.enabled)), None),
        starts if isinstance(starts, NotKnown) else next(iter(starts), None),
        view.backend.count_starts(StartFilter(source, since=now - _RECENT), limit=1000),
    )


def count_dead_letters(view: View) -> Mapping[str, int] | NotKnown:
    """Return the messages in the dead-letter queues; not known if this account may not read their attributes."""
    try:
        return view.backend.dead_letters()
    except Refused as refusal:
        return NotKnown(str(refusal))


def describe_fact(fact: Start | NotKnown | None) -> object:
    """Return a start, or the reason why it is not known, as JSON."""
    return describe_unknown(fact) if isinstance(fact, NotKnown) else fact and asdict(fact)
