"""The forms that start a schedule's target for past times: all of a range, or those at which nothing was started.

The times are listed first. A time that has a start, also one by the schedule, is left out. The starts are made in
order, a bounded number at once, and a page shows their progress.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from starlette.responses import Response

from nightferry.backend.errors import Refused, Unreachable
from nightferry.backend.request_checks import get_schedule
from nightferry.backend.starts import NotKnown, Start, StartFilter, make_source
from nightferry.contract import format_scheduled_time
from nightferry.dashboard.actions.perform import perform, show_form
from nightferry.dashboard.actions.proposal import Consent, Done, Proposal
from nightferry.dashboard.batches.backfill import BackfillBatch
from nightferry.dashboard.batches.batch import Order
from nightferry.dashboard.view import BadRequest, View
from nightferry.errors import NightferryError
from nightferry.presentation.quantities import format_quantity
from nightferry.presentation.schedules.backfill import BackfillTime
from nightferry.presentation.schedules.backfill_times import Bound, NoTimes, find_times
from nightferry.presentation.schedules.schedules import read_schedules

MOST_TIMES = 1_000
MOST_CHOICES = 400  # of a catch-up: each is a field of its form
_MOST_AT_ONCE = 10
_MISSED_PERIOD = timedelta(days=7)
_RECORDED = 1_000  # decisions of the period that explain why nothing was started

Kind = Literal["backfill", "catch-up"]


@dataclass(frozen=True)
class ListedTime:
    """A time of the schedule, with the run or execution that was started for it, or why none was."""

    time: datetime
    id: str | None
    note: str = ""

    @property
    def name(self) -> str:
        """Return the time as the target receives it."""
        return format_scheduled_time(self.time)


@dataclass(frozen=True)
class Range:
    """What a form has: the two ends of the range, the number of starts at once, and the chosen times of a catch-up."""

    begin: str
    end: str
    at_once: int
    chosen: frozenset[str] | None


def show_backfill(view: View) -> Response:
    """Show the form of a backfill."""
    return _SchedulePage(view, "backfill").show()


def backfill(view: View) -> Response:
    """List the times of a backfill, or start them."""
    return _SchedulePage(view, "backfill").send()


def show_catch_up(view: View) -> Response:
    """Show the recent times for which nothing was started."""
    return _SchedulePage(view, "catch-up").show()


def catch_up(view: View) -> Response:
    """Start the chosen times."""
    return _SchedulePage(view, "catch-up").send()


class _SchedulePage:
    def __init__(self, view: View, kind: Kind) -> None:
        self._view = view
        self._kind = kind
        name = get_schedule(view.catalog, view.path["name"]).name
        now = view.site.clock.now()
        (self._schedule,) = read_schedules(view.catalog, view.environment, view.backend, now, [name])
        self._title = f"Backfill {name}" if kind == "backfill" else f"Missed starts of {name}"
        self._template = "backfill.html" if kind == "backfill" else "catch_up.html"

    def show(self) -> Response:
        view, now = self._view, self._view.site.clock.now()
        if self._kind == "backfill":
            asked = Range(view.text("from"), view.text("to"), 1, None)
            listed: list[ListedTime] | None = self._list(asked) if asked.begin and asked.end else None
        else:
            begin = view.time("since") or now - _MISSED_PERIOD
            asked = Range(format_scheduled_time(begin), format_scheduled_time(now), 1, None)
            try:
                listed = self._list(asked)
            except NoTimes:
                listed = []
        return self._respond(asked, listed)

    def send(self) -> Response:
        view, asked = self._view, self._read()
        listed: list[ListedTime] | None = None
        problem = ""
        try:
            listed = self._list(asked)
        except (Unreachable, Refused):
            raise
        except NightferryError as error:
            problem = str(error)
        if problem or listed is None:
            return self._respond(asked, None, problem=problem, status=400)
        wanted = self._choose(asked, listed)
        known = set(view.field("listed").split())
        if view.field("step") != "check" and {one.name for one in wanted} - known:
            problem = "These times were not listed yet, or have changed. Send the form again to start them."
            return self._respond(asked, listed, problem=problem, status=409)
        return perform(
            view, self._propose(asked, listed), title=self._title, template=self._template,
            **self._describe(asked, listed),
        )  # fmt: skip

    def _read(self) -> Range:
        view = self._view
        text = view.field("at_once") or "1"
        if not (text.isascii() and text.isdecimal() and 1 <= int(text[:3]) <= _MOST_AT_ONCE and len(text) <= 2):
            raise BadRequest(f"The number at once must be from 1 to {_MOST_AT_ONCE}.")
        chosen = frozenset(view.form.get("time", [])) if self._kind == "catch-up" else None
        return Range(view.field("from"), view.field("to"), int(text), chosen)

    def _list(self, asked: Range) -> list[ListedTime]:
        """Return the times of the range with their starts. Raises InvalidRange."""
        view, declared = self._view, self._schedule.declared
        first_seen, most = (lambda: self._schedule.start), MOST_TIMES if self._kind == "backfill" else MOST_CHOICES
        bounds = (Bound("From", self._localize(asked.begin)), Bound("To", self._localize(asked.end)))
        times = find_times(declared, view.environment, *bounds, first_seen, most)
        found = view.backend.find_scheduled(declared, times)
        notes = self._read_notes(times)
        return [ListedTime(time, found.get(time), notes.get(time, "")) for time in times]

    def _localize(self, text: str) -> str:
        """Return a time without an offset as one in the zone of the page. A date is a day in the schedule's zone."""
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            return text
        if len(text.strip()) == len("2026-11-24") or time.tzinfo is not None:
            return text
        return time.replace(tzinfo=self._view.zone).astimezone(UTC).isoformat()

    def _read_notes(self, times: Sequence[datetime]) -> dict[datetime, str]:
        """Return why nothing was started for times, as far as the environment has recorded it."""
        if self._kind == "backfill" or not times:
            return {}
        source = make_source("schedule", self._schedule.declared.name)
        starts = self._view.backend.starts(StartFilter(source, since=times[0]), limit=_RECORDED)
        recorded: Sequence[Start] = () if isinstance(starts, NotKnown) else starts
        unstarted = [one for one in recorded if one.outcome != "started"]
        return {one.due_at: " ".join(filter(None, (f"{one.outcome}.", one.note))) for one in reversed(unstarted)}

    @staticmethod
    def _choose(asked: Range, listed: Sequence[ListedTime]) -> list[ListedTime]:
        """Return the times to start: those without a start, of a catch-up only the chosen ones."""
        return [one for one in listed if one.id is None and (asked.chosen is None or one.name in asked.chosen)]

    def _respond(
        self, asked: Range, listed: list[ListedTime] | None, *, problem: str = "", status: int = 200
    ) -> Response:
        return show_form(
            self._view, self._propose(asked, listed), title=self._title, template=self._template, problem=problem,
            status=status, checked=status != 200, **self._describe(asked, listed),
        )  # fmt: skip

    def _propose(self, asked: Range, listed: list[ListedTime] | None) -> Proposal:
        view, declared = self._view, self._schedule.declared
        wanted = self._choose(asked, listed or [])

        def preview() -> list[str]:
            if listed is None:
                return []
            left_out = sum(one.id is not None for one in listed)
            times = format_quantity(len(wanted), "time")
            effects = [f"{declared.target} starts for {times}, {asked.at_once} at once, in order."]
            if left_out:
                effects.append(f"{left_out:,} times are left out, because they have a start.")
            return effects

        def act(consent: Consent) -> Done:
            if not wanted:
                raise BadRequest("No time is left to start. Choose another range, or choose times in the list.")
            back = f"/schedules/{declared.name}/{self._kind}"
            order = Order(self._kind, declared.name, self._title, back, consent.author, consent.reason)
            entries = [BackfillTime(one.time) for one in wanted]
            batch = BackfillBatch(order, declared, entries, asked.at_once, view.site.clock)
            view.site.batches.start(batch)
            text = batch.describe() if batch.wait() else f"{len(wanted):,} starts continue on this page."
            return Done(text, view.link(f"/batches/{batch.id}"), tuple(batch.list_started()))

        task = view.catalog.tasks.get(declared.target) if declared.kind == "task" else None
        return Proposal(
            action=self._kind,
            target=declared.name,
            button=f"Start {declared.target} for {format_quantity(len(wanted), 'time')}"
            if listed is not None and self._kind == "backfill"
            else f"Start {declared.target} for the chosen times",
            preview=preview,
            act=act,
            tasks=() if task is None else (task,),
            needs_check=self._kind == "backfill",
        )

    def _describe(self, asked: Range, listed: list[ListedTime] | None) -> dict[str, Any]:
        listed_now = None if listed is None or self._kind == "backfill" else [one for one in listed if one.id is None]
        return {
            "schedule": self._schedule,
            "asked": asked,
            "listed": listed if listed_now is None else listed_now,
            "since": listed[0].time if listed else None,
            "page_of": "executions" if self._schedule.declared.kind == "workflow" else "runs",
            "most_at_once": _MOST_AT_ONCE,
            "json": {
                "times": None
                if listed is None
                else [{"time": one.name, "id": one.id, "note": one.note or None} for one in listed]
            },
        }
