"""The form that starts a task, and the form that starts a run again with other inputs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple
from typing import Any

from starlette.responses import Response

from nightferry.backend.interface import RunRequest, TaskRun
from nightferry.backend.request_checks import RequestProblem, get_task
from nightferry.dashboard.forms.run_form import Field, RunForm, RunInput, Visibility, list_changes, list_problems
from nightferry.dashboard.view import View
from nightferry.errors import NightferryError


def show(view: View) -> Response:
    """Show the form of a task."""
    return _RunPage(view, None).show()


def send(view: View) -> Response:
    """Check the form of a task, and show what will be requested, or start the run."""
    return _RunPage(view, None).send()


def show_again(view: View) -> Response:
    """Show the form of a run that is started again."""
    return _RunPage(view, view.backend.run(view.path["id"])).show()


def send_again(view: View) -> Response:
    """Check the form of a run that is started again, and show what changes, or start the run."""
    return _RunPage(view, view.backend.run(view.path["id"])).send()


class _RunPage:
    def __init__(self, view: View, repeated: TaskRun | None) -> None:
        self._view = view
        self._repeated = repeated
        self._task = get_task(view.catalog, view.path["task"] if repeated is None else repeated.task)
        visibility = Visibility(view.site.redactor)
        self._form = RunForm(view.catalog, self._task, view.environment, visibility, repeated)

    def show(self) -> Response:
        return self._respond(self._form.first_input())

    def send(self) -> Response:
        view, entered = self._view, RunInput.read(self._view.form)
        try:
            request = self._form.make_request(entered, view.author)
            preview = view.backend.request(request)
        except NightferryError as error:
            names = [one.name for one in self._form.list_fields(entered)]
            problems, others = list_problems(error, names)
            return self._respond(entered, problems=problems, messages=others, status=422)
        digest = _digest(request)
        if view.field("step") == "start" and view.field("previewed") == digest:
            return self._start(request)
        return self._respond(entered, request=request, preview=preview, digest=digest)

    def _start(self, request: RunRequest) -> Response:
        id = self._view.backend.run_task(request)
        self._view.backend.detach()
        return self._view.redirect(self._view.link(f"/runs/{id}"))

    def _respond(
        self,
        entered: RunInput,
        *,
        request: RunRequest | None = None,
        preview: Any = None,
        digest: str = "",
        problems: list[RequestProblem] | None = None,
        messages: list[str] | None = None,
        status: int = 200,
    ) -> Response:
        view, repeated = self._view, self._repeated
        fields = self._form.list_fields(entered, problems or ())
        changes = [] if repeated is None or request is None else self._list_changes(repeated, request)
        title = f"Run {self._task.name}" if repeated is None else f"Run {self._task.name} again"
        path = f"/tasks/{self._task.name}/run" if repeated is None else f"/runs/{repeated.id}/again"
        return view.page(
            "run_form.html",
            title=title,
            status=status,
            json={
                "task": self._task.name,
                "again": repeated.id if repeated else None,
                "fields": [_to_json(field) for field in fields],
                "problems": [*(messages or ()), *(problem.message for problem in problems or ())],
                "request": preview,
            },
            action=view.link(path),
            task=self._task,
            repeated=repeated,
            fields=fields,
            fixed=self._form.describe_fixed(),
            secrets=self._form.secrets,
            changes=changes,
            preview=None if preview is None else json.dumps(view.shown(preview), indent=2, default=str),
            digest=digest,
            messages=messages or [],
            invalid=bool(problems or messages),
            reason=view.field("reason") if request is not None or status != 200 else "",
        )

    def _list_changes(self, repeated: TaskRun, request: RunRequest) -> list[tuple[str, str, str, bool]]:
        """Return the name, the old and the new value as they may be shown, and True if they differ."""
        visibility = Visibility(self._view.site.redactor)
        hidden = {one.variable for one in self._form.settings if not one.shown}

        def show(name: str, value: str | None) -> str:
            if value is None:
                return "–"
            return "[hidden]" if name in hidden else visibility.show(value, name)

        return [
            (name, show(name, old), show(name, new), old != new)
            for name, old, new in list_changes(repeated, request)
        ]


def _digest(request: RunRequest) -> str:
    """Return the identity of a request in letters, because redaction hides long numbers."""
    digest = hashlib.sha256(repr((astuple(request), sorted(request.env.items()))).encode()).digest()
    return "".join(f"{chr(97 + byte // 16)}{chr(97 + byte % 16)}" for byte in digest[:16])


def _to_json(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": field.label,
        "value": field.value,
        "options": field.options,
        "current": field.current,
        "required": field.required,
        "problems": field.problems,
    }


