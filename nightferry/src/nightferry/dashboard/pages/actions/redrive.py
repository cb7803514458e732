"""The forms that continue a failed execution, and start a failed run again with the same inputs."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from nightferry.backend.runs import TaskRun
from nightferry.dashboard.actions.perform import perform, show_form
from nightferry.dashboard.actions.proposal import Consent, Done, Proposal
from nightferry.dashboard.view import View
from nightferry.presentation.inputs import format_inputs

_TITLE = {"run": "Start a failed run again", "execution": "Continue a failed execution"}


def show_run(view: View) -> Response:
    """Show what the redrive of a run would start."""
    return show_form(view, _propose_run(view), title=_TITLE["run"])


def redrive_run(view: View) -> Response:
    """Start a failed run again."""
    return perform(view, _propose_run(view), title=_TITLE["run"])


def show_execution(view: View) -> Response:
    """Show where the redrive of an execution would continue."""
    return show_form(view, _propose_execution(view), title=_TITLE["execution"])


def redrive_execution(view: View) -> Response:
    """Continue a failed execution."""
    return perform(view, _propose_execution(view), title=_TITLE["execution"])


def _propose_run(view: View) -> Proposal:
    run = view.backend.run(view.path["id"])
    task = view.catalog.tasks.get(run.task)

    def act(_: Consent) -> Done:
        id = view.backend.redrive_run(run.id)
        return Done(f"{run.task} starts again.", view.link(f"/runs/{id}"), (id,))

    return Proposal(
        action="redrive-run",
        target=run.id,
        button="Start it again",
        preview=lambda: _describe_run(view, run),
        act=act,
        tasks=() if task is None else (task,),
    )


def _describe_run(view: View, run: TaskRun) -> Sequence[str]:
    view.backend.redrive_run(run.id, dry_run=True)
    inputs = [f"{name}: {text}" for name, text in format_inputs(view.shown_run(run)).items() if text]
    effects = [
        f"A new run of {run.task} starts with the same inputs as run {run.id}.",
        *(inputs or ["It was started without inputs of its own."]),
        "Each run is started again once. If the new one fails too, start that one again.",
    ]
    if view.backend.find_planned_retry(run.id) is not None:
        effects.append("Its planned retry starts now instead.")
    return effects


def _propose_execution(view: View) -> Proposal:
    execution = view.backend.execution(view.path["id"])

    def act(_: Consent) -> Done:
        view.backend.redrive(execution.id)
        link = view.link(f"/executions/{execution.id}")
        return Done(f"{execution.workflow} continues at the state that failed.", link, (execution.id,))

    return Proposal(
        action="redrive",
        target=execution.id,
        button="Continue this execution",
        preview=lambda: _describe_execution(view, execution.id, execution.workflow),
        act=act,
    )


def _describe_execution(view: View, id: str, workflow: str) -> Sequence[str]:
    view.backend.redrive(id, dry_run=True)
    failed = [state for state in view.backend.state_history(id) if state.failed]
    state = f"“{failed[-1].name}”, which failed with {failed[-1].error}" if failed else "the state that failed"
    return [
        f"Execution {id} of {workflow} continues at {state}.",
        "The states that succeeded are not repeated, and keep their output.",
    ]
