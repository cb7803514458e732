"""The failures of a period, grouped by cause, and the retry of a whole group."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from nightferry.backend.queries import Cursor
from nightferry.dashboard.actions.perform import perform, show_form
from nightferry.dashboard.actions.proposal import Consent, Done, Proposal
from nightferry.dashboard.batches.batch import Order
from nightferry.dashboard.batches.retry import RetryBatch, check_retries
from nightferry.dashboard.view import BadRequest, View
from nightferry.errors import UnknownName
from nightferry.presentation.problems.grouping import Problem, ProblemReport, find_problems, list_retries
from nightferry.presentation.quantities import format_quantity

_DEFAULT_PERIOD = timedelta(hours=24)
_PER_PAGE = 50
_SAMPLES = 3
_EXPLAINED = 10  # problems of workflows whose failed state is read
_CONFIRMED = 1000  # the largest group that one form retries


def show(view: View) -> Response:
    """Show the causes of the period, or the failures of one cause."""
    since, until = _read_period(view)
    report = find_problems(view.backend, since, until)
    if key := view.text("group"):
        return _show_group(view, report, _find(report, key))
    return view.page(
        "problems.html",
        title="Problems",
        json={
            "since": since,
            "until": until,
            "runs": report.runs,
            "executions": report.executions,
            "complete": report.runs_complete and report.executions_complete,
            "problems": [_to_json(view, problem) for problem in report.problems],
        },
        live=not view.text("until"),
        report=report,
        states=_find_states(view, report),
        samples=_SAMPLES,
        since=since,
        until=until,
    )


def _show_group(view: View, report: ProblemReport, problem: Problem) -> Response:
    before = view.cursor()
    rest = [one for one in problem.failures if before is None or Cursor(one.started_at, one.id) < before]
    shown, more = rest[:_PER_PAGE], len(rest) > _PER_PAGE
    return view.page(
        "problem_group.html",
        title=f"{problem.name}: {problem.error}",
        json=_to_json(view, problem) | {"failures": [{"id": one.id, "time": one.started_at} for one in shown]},
        problem=problem,
        shown=shown,
        next=Cursor(shown[-1].started_at, shown[-1].id) if more else None,
        since=report.since,
        until=report.until,
    )


def _to_json(view: View, problem: Problem) -> dict[str, Any]:
    return {
        "key": problem.key,
        "kind": problem.kind,
        "name": problem.name,
        "error": problem.error,
        "message": view.shown(problem.newest.message),
        "count": len(problem.failures),
        "first": problem.oldest.started_at,
        "last": problem.newest.started_at,
        "steps": problem.of_steps,
    }


def _read_period(view: View) -> tuple[datetime, datetime]:
    now = view.site.clock.now()
    since, until = view.time("since") or now - _DEFAULT_PERIOD, view.time("until") or now
    if until <= since:
        raise BadRequest("'until' must be after 'since'.")
    return since, until


def _find_states(view: View, report: ProblemReport) -> dict[str, str]:
    """Return the state in which the newest execution of each of the first problems of workflows failed."""
    found = {}
    for problem in [one for one in report.problems if one.kind == "workflow"][:_EXPLAINED]:
        failed = [state for state in view.backend.state_history(problem.newest.id) if state.failed]
        if failed:
            found[problem.key] = failed[-1].name
    return found


def _find(report: ProblemReport, key: str) -> Problem:
    problem = report.find(key)
    if problem is None:
        raise UnknownName("problem", key, [], "The period has no failure of this cause. See the list of problems.")
    return problem


# ── retry ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def show_retry(view: View) -> Response:
    """Show what the retry of a group would start, after a dry run of each start."""
    since, until = _read_period(view)
    problem = _find(find_problems(view.backend, since, until), view.path["key"])
    return show_form(view, _propose(view, problem), title=_make_title(problem),
                     template="retry_group.html", **_describe(problem, since, until))  # fmt: skip


def retry(view: View) -> Response:
    """Retry each failure of a group once, unless the group has changed since the form was shown."""
    try:
        since, until = datetime.fromisoformat(view.field("since")), datetime.fromisoformat(view.field("until"))
        if since.tzinfo is None or until.tzinfo is None:
            raise ValueError("times need an offset")
    except ValueError:
        raise BadRequest(
            "The period of the form is not valid. Open the form again from the list of problems."
        ) from None
    problem = _find(find_problems(view.backend, since, until), view.path["key"])
    proposal, title = _propose(view, problem), _make_title(problem)
    context = _describe(problem, since, until)
    if view.field("count") != str(len(problem.failures)):
        return show_form(
            view, proposal, title=title, template="retry_group.html", status=409, checked=True,
            problem=f"The group has changed: it now has {len(problem.failures):,} failures. Nothing was started.",
            **context,
        )  # fmt: skip
    return perform(view, proposal, title=title, template="retry_group.html", **context)


def _make_title(problem: Problem) -> str:
    number = len(problem.failures)
    return f"Retry {format_quantity(number, 'failure')} of {problem.name}"


def _describe(problem: Problem, since: datetime, until: datetime) -> dict[str, Any]:
    return {"group": problem, "since": since, "until": until}


def _propose(view: View, problem: Problem) -> Proposal:
    retries = list_retries(problem.failures)
    number = len(problem.failures)

    def preview() -> list[str]:
        if len(retries) > _CONFIRMED:
            raise BadRequest(f"The group has more than {_CONFIRMED:,} starts. Choose a shorter period.")
        return check_retries(view.backend, retries).list_effects(retries, number)

    def act(consent: Consent) -> Done:
        if len(retries) > _CONFIRMED:
            raise BadRequest(f"The group has more than {_CONFIRMED:,} starts. Choose a shorter period.")
        order = Order("retry-group", problem.key, _make_title(problem), "/problems", consent.author, consent.reason)
        batch = RetryBatch(order, retries)
        view.site.batches.start(batch)
        text = batch.describe() if batch.wait() else f"{format_quantity(len(retries), 'start')} continue on this page."
        return Done(text, view.link(f"/batches/{batch.id}"), tuple(batch.list_started()))

    task = view.catalog.tasks.get(problem.name) if problem.kind == "task" and not problem.of_steps else None
    return Proposal(
        action="retry-group",
        target=problem.key,
        button=f"Retry {format_quantity(number, 'failure')}",
        preview=preview,
        act=act,
        tasks=() if task is None else (task,),
    )
