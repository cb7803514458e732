"""The form that starts a task, and the form that starts a run again with other inputs.

A run starts only after its request was shown: the form that starts it has the digest of the request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any

from starlette.responses import Response

from nightferry.backend.errors import Unreachable
from nightferry.backend.request_checks import RequestProblem, get_task
from nightferry.backend.runs import RunRequest, TaskRun
from nightferry.dashboard.actions.perform import perform, show_form
from nightferry.dashboard.actions.proposal import Consent, Done, Proposal
from nightferry.dashboard.forms.run_form import RunForm, RunInput, Visibility, list_changes, list_problems
from nightferry.dashboard.view import View
from nightferry.errors import NightferryError
from nightferry.presentation.letter_ids import digest_to_letters

_TEMPLATE = "run_form.html"
_NOT_SHOWN = "The request was not shown yet, or has changed. This is what will be requested; send the form to start it."


def show(view: View) -> Response:
    """Show the form of a task."""
    return _RunPage(view, None).show()


def send(view: View) -> Response:
    """Show what the form of a task requests, or start the run."""
    return _RunPage(view, None).send()


def show_again(view: View) -> Response:
    """Show the form of a run that is started again."""
    return _RunPage(view, view.backend.run(view.path["id"])).show()


def send_again(view: View) -> Response:
    """Show what the form of a run that is started again changes, or start the run."""
    return _RunPage(view, view.backend.run(view.path["id"])).send()


class _RunPage:
    def __init__(self, view: View, repeated: TaskRun | None) -> None:
        self._view = view
        self._repeated = repeated
        self._task = get_task(view.catalog, view.path["task"] if repeated is None else repeated.task)
        self._visibility = Visibility(view.site.redactor)
        self._form = RunForm(view.catalog, self._task, view.environment, self._visibility, repeated)
        self._title = f"Run {self._task.name}" + (" again" if repeated else "")

    def show(self) -> Response:
        return self._show(self._form.first_input(), self._propose(None))

    def send(self) -> Response:
        view, entered = self._view, RunInput.read(self._view.form)
        try:
            request = self._form.make_request(entered, view.author)
            preview = view.backend.request(request)
        except Unreachable:
            raise
        except NightferryError as error:
            problems, others = list_problems(error, [one.name for one in self._form.list_fields(entered)])
            text = "\n".join(others) or "Correct the marked fields. Nothing was started."
            return self._show(entered, self._propose(NightferryError(text)), problems=problems, status=400)
        proposal, digest = self._propose(request), _digest(request)
        context = self._describe(entered, request=request, preview=preview, digest=digest)
        if view.field("step") != "check" and view.field("previewed") != digest:
            return show_form(
                view,
                proposal,
                title=self._title,
                template=_TEMPLATE,
                problem=_NOT_SHOWN,
                checked=True,
                status=409,
                **context,
            )
        return perform(view, proposal, title=self._title, template=_TEMPLATE, **context)

    def _show(
        self,
        entered: RunInput,
        proposal: Proposal,
        *,
        problems: Sequence[RequestProblem] = (),
        status: int = 200,
    ) -> Response:
        context = self._describe(entered, problems)
        checked = status != 200
        return show_form(
            self._view, proposal, title=self._title, template=_TEMPLATE, status=status, checked=checked, **context
        )

    def _propose(self, checked: RunRequest | NightferryError | None) -> Proposal:
        """Return the proposal of a checked request, or of a form that was not checked or has problems."""
        view, repeated = self._view, self._repeated

        def preview() -> list[str]:
            if isinstance(checked, NightferryError):
                raise checked
            return [] if checked is None else self._list_effects(checked)

        def act(_: Consent) -> Done:
            assert isinstance(checked, RunRequest)
            id = view.backend.run_task(checked)
            return Done(f"{self._task.name} was started.", view.link(f"/runs/{id}"), (id,))

        return Proposal(
            action="run" if repeated is None else "run-again",
            target=self._task.name if repeated is None else repeated.id,
            button=f"Start {self._task.name}",
            preview=preview,
            act=act,
            tasks=(self._task,),
            needs_check=True,
        )

    def _list_effects(self, request: RunRequest) -> list[str]:
        if self._repeated is not None:
            return [f"A new run of {self._task.name} starts. Run {self._repeated.id} stays as it is."]
        effects = [f"A run of {self._task.name} starts."]
        effects += [f"{name}={self._show_value(name, value)}" for name, value in sorted(request.env.items())]
        if request.args:
            effects.append(f"Arguments: {' '.join(self._visibility.show_arguments(request.args))}")
        return effects

    def _show_value(self, name: str, value: str) -> str:
        hidden = any(one.variable == name and not one.shown for one in self._form.settings)
        return "[hidden]" if hidden else self._visibility.show(value, name)

    def _describe(
        self,
        entered: RunInput,
        problems: Sequence[RequestProblem] = (),
        *,
        request: RunRequest | None = None,
        preview: Any = None,
        digest: str = "",
    ) -> dict[str, Any]:
        """Return what the template shows beside the action."""
        fields = self._form.list_fields(entered, problems)
        changes = [] if request is None or self._repeated is None else self._list_changes(self._repeated, request)
        return {
            "task": self._task,
            "repeated": self._repeated,
            "fields": fields,
            "fixed": self._form.describe_fixed(),
            "secrets": self._form.secrets,
            "changes": changes,
            "preview": None if request is None else self._format_preview(request, preview),
            "digest": digest,
            "json": {"fields": [asdict(field) for field in fields], "again": self._repeated and self._repeated.id},
        }

    def _format_preview(self, request: RunRequest, preview: Any) -> str:
        """Return the request as JSON. A value of a hidden setting may be anywhere in it."""
        text = json.dumps(self._view.shown(preview), indent=2, default=str, ensure_ascii=False)
        for one in self._form.settings:
            if not one.shown and (value := request.env.get(one.variable)):
                text = text.replace(json.dumps(value, ensure_ascii=False)[1:-1], "[hidden]")
        return text

    def _list_changes(self, repeated: TaskRun, request: RunRequest) -> list[tuple[str, str, str, bool]]:
        """Return the name, the old and the new value as they may be shown, and True if they differ."""

        def show(name: str, value: str | None) -> str:
            if value is None:
                return "–"
            if name == "arguments":
                return "\n".join(self._visibility.show_arguments(value.split("\n")))
            return self._show_value(name, value)

        return [
            (name, show(name, old), show(name, new), old != new) for name, old, new in list_changes(repeated, request)
        ]


def _digest(request: RunRequest) -> str:
    """Return the identity of a request."""
    return digest_to_letters(repr((astuple(request), sorted(request.env.items()))), 32)
