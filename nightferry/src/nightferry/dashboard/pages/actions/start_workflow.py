"""The form that starts a workflow. An execution starts only after its input was shown."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from nightferry.backend.errors import Unreachable
from nightferry.backend.queries import ExecutionFilter
from nightferry.backend.request_checks import get_workflow
from nightferry.dashboard.actions.perform import perform, show_form
from nightferry.dashboard.actions.proposal import Consent, Done, Proposal
from nightferry.dashboard.forms.run_form import RunInput, Visibility
from nightferry.dashboard.forms.workflow_form import list_fields, read_input
from nightferry.dashboard.view import View
from nightferry.errors import NightferryError
from nightferry.presentation.letter_ids import digest_to_letters

_TEMPLATE = "workflow_form.html"
_NOT_SHOWN = "The input was not shown yet, or has changed. This is what will be started; send the form to start it."
_NOT_CHECKED = object()


def show(view: View) -> Response:
    """Show the form of a workflow."""
    return _WorkflowPage(view).show()


def send(view: View) -> Response:
    """Show the input that the form of a workflow has, or start the execution."""
    return _WorkflowPage(view).send()


class _WorkflowPage:
    def __init__(self, view: View) -> None:
        self._view = view
        self._workflow = get_workflow(view.catalog, view.path["workflow"])
        self._title = f"Start {self._workflow.name}"

    def show(self) -> Response:
        context = self._describe(RunInput())
        return show_form(self._view, self._propose(_NOT_CHECKED), title=self._title, template=_TEMPLATE, **context)

    def send(self) -> Response:
        view, entered = self._view, RunInput.read(self._view.form)
        try:
            value = read_input(self._workflow, entered)
        except Unreachable:
            raise
        except NightferryError as error:
            return show_form(
                view, self._propose(error), title=self._title, template=_TEMPLATE, status=400, checked=True,
                **self._describe(entered),
            )  # fmt: skip
        digest = _digest(value)
        context = self._describe(entered, value, digest)
        proposal = self._propose(value)
        if view.field("step") != "check" and view.field("previewed") != digest:
            return show_form(
                view, proposal, title=self._title, template=_TEMPLATE, problem=_NOT_SHOWN, status=409, checked=True,
                **context,
            )  # fmt: skip
        return perform(view, proposal, title=self._title, template=_TEMPLATE, **context)

    def _propose(self, value: Any) -> Proposal:
        view, workflow = self._view, self._workflow

        def preview() -> list[str]:
            if isinstance(value, NightferryError):
                raise value
            return [] if value is _NOT_CHECKED else self._list_effects()

        def act(consent: Consent) -> Done:
            before = self._list_open()
            id = view.backend.start_workflow(workflow.name, value, consent.author)
            text = f"{id} was already open; nothing was started." if id in before else f"{workflow.name} was started."
            return Done(text, view.link(f"/executions/{id}"), () if id in before else (id,))

        return Proposal(
            action="start",
            target=workflow.name,
            button=f"Start {workflow.name}",
            preview=preview,
            act=act,
            needs_check=True,
        )

    def _list_open(self) -> list[str]:
        wanted = ExecutionFilter(self._workflow.name, outcome="open")
        return [one.id for one in self._view.backend.executions(wanted, limit=5)]

    def _list_effects(self) -> list[str]:
        name, open_ones = self._workflow.name, self._list_open()
        first = f"Execution {open_ones[0]} of {name} is open" if open_ones else ""
        match self._workflow.overlap if open_ones else "allow":
            case "skip":
                return [f"{first}, and the overlap policy is skip: nothing starts, and this input is not used."]
            case "replace":
                return [f"An execution of {name} starts. {first}, and is stopped: the overlap policy is replace."]
            case "queue":
                return [f"An execution of {name} starts. {first}, so the new one waits for its end."]
        return [f"An execution of {name} starts with the input below."]

    def _describe(self, entered: RunInput, value: Any = _NOT_CHECKED, digest: str = "") -> dict[str, Any]:
        visibility = Visibility(self._view.site.redactor)
        visible = {
            name for name, text in entered.texts.items() if visibility.show(text, name.rpartition(".")[2]) == text
        }
        fields = list_fields(self._workflow, entered, visible)
        hidden = [one.label for one in fields if entered.texts.get(one.name) and one.name not in visible]
        shown = None if value is _NOT_CHECKED else json.dumps(self._view.shown(value), indent=2, ensure_ascii=False)
        return {
            "workflow": self._workflow,
            "fields": fields,
            "hidden": hidden,
            "input": shown,
            "digest": digest,
            "json": {"fields": [asdict(field) for field in fields]},
        }


def _digest(value: Any) -> str:
    """Return the identity of an input."""
    return digest_to_letters(json.dumps(value, sort_keys=True), 32)
