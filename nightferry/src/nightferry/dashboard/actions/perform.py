"""The checks, the execution and the record of an action.

A POST passes these steps in this order: right, rate, reason, rule of the tasks, one use of the form, record of the
request, action, record of the result. A GET, and a POST that only checks, run the preview and record nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from nightferry.audit.recording import LONGEST_REASON, Recorder
from nightferry.backend.by_hand import NotByHand, NotConfirmed, check_by_hand, find_rule
from nightferry.backend.errors import Unreachable
from nightferry.dashboard.actions.proposal import Consent, Done, Proposal
from nightferry.dashboard.actions.rights import ACTIONS, NotPermitted, TooManyActions, get_rights
from nightferry.dashboard.actions.submissions import MOST_PER_MINUTE
from nightferry.dashboard.view import View
from nightferry.errors import NightferryError

_SHORTEST_REASON = 3
_ALREADY_SENT = "This form was sent before. It was not done again."


def show_form(
    view: View,
    proposal: Proposal,
    *,
    title: str,
    template: str = "action.html",
    problem: str = "",
    status: int = 200,
    checked: bool = False,
    json: Mapping[str, Any] | None = None,
    **context: Any,
) -> Response:
    """Return the form of an action with what will happen. ``template`` extends ``action.html``.

    ``problem`` is the reason why a form that was sent was not accepted. ``json`` has further members of the page as
    JSON. ``context`` is for the template.
    """
    effects: list[str] = []
    obstacle = ""
    rule = find_rule(proposal.tasks)
    try:
        if rule == "never":
            check_by_hand(proposal.tasks, view.environment.name, "")
        if checked or not proposal.needs_check:
            effects += proposal.preview()
    except Unreachable:
        raise
    except NightferryError as error:
        obstacle = str(error)
    permitted = _is_permitted(view, proposal)
    return view.page(
        template,
        title=title,
        status=status,
        json={
            "action": proposal.action,
            "target": proposal.target,
            "effects": effects,
            "obstacle": obstacle,
            **(json or {}),
        },
        proposal=proposal,
        effects=effects,
        obstacle=obstacle,
        problem=problem,
        permitted=permitted,
        confirm=rule == "confirm",
        token=view.site.submissions.make_token(),
        reason=view.field("reason") if problem or checked else "",
        longest_reason=LONGEST_REASON,
        **context,
    )


def perform(view: View, proposal: Proposal, *, title: str, template: str = "action.html", **context: Any) -> Response:
    """Do the action of a form that was sent, and redirect to its result; or show the form with the problem.

    Raises NotPermitted and TooManyActions, and the errors of the action, which are its recorded result.
    """
    if not _is_permitted(view, proposal):
        raise NotPermitted(
            f"This dashboard of {view.environment.name} is read-only. Nothing was done. To act from its pages, start "
            f"it with: nightferry dashboard --env {view.environment.name} --actions"
        )
    submissions = view.site.submissions
    if not submissions.is_within_rate(view.session):
        raise TooManyActions(f"More than {MOST_PER_MINUTE} actions in a minute. Nothing was done. Wait a minute.")
    if view.field("step") == "check":
        return show_form(view, proposal, title=title, template=template, checked=True, **context)
    if problem := _find_problem(view, proposal):
        return show_form(
            view, proposal, title=title, template=template, problem=problem, status=400, checked=True, **context
        )
    token = view.field("token")
    if not submissions.claim(token):
        return _redirect(view, Done(_ALREADY_SENT, view.link("/activity")))
    recorder = Recorder(view.backend, view.author, "dashboard", view.catalog.privacy, view.site.clock)
    reason = view.field("reason")
    try:
        with recorder.record(proposal.action, proposal.target, reason) as outcome:
            done = proposal.act(Consent(reason, view.author))
            outcome.text, outcome.ids = done.text, list(done.ids)
            if ACTIONS[proposal.action].starts_work:
                view.backend.detach()
    except NightferryError:
        submissions.release(token)
        raise
    return _redirect(view, done)


def _is_permitted(view: View, proposal: Proposal) -> bool:
    return ACTIONS[proposal.action].right in get_rights(actions=view.site.actions)


def _find_problem(view: View, proposal: Proposal) -> str:
    reason = view.field("reason")
    if len(reason) < _SHORTEST_REASON:
        return "Give a reason. It is recorded with your name."
    if len(reason) > LONGEST_REASON:
        return f"The reason has more than {LONGEST_REASON} characters."
    try:
        check_by_hand(proposal.tasks, view.environment.name, view.field("confirmation"))
    except NotByHand as refused:
        return str(refused)
    except NotConfirmed:
        return f"To confirm, type the name of the environment: {view.environment.name}."
    return ""


def _redirect(view: View, done: Done) -> Response:
    key = view.site.submissions.add_result(view.session, done.text)
    mark = "&" if "?" in done.link else "?"
    return view.redirect(f"{done.link}{mark}{urlencode({'done': key})}")
