"""The forms that stop a run or an execution."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import TaskRun
from nightferry.dashboard.actions.perform import perform, show_form
from nightferry.dashboard.actions.proposal import Consent, Done, Proposal
from nightferry.dashboard.view import View
from nightferry.errors import NightferryError

_TITLE = {"run": "Stop a run", "execution": "Stop an execution"}


class AlreadyEnded(NightferryError):
    """A run or an execution has ended, so it cannot be stopped."""


def show_run(view: View) -> Response:
    """Show what the stop of a run would do."""
    return show_form(view, _propose_run(view), title=_TITLE["run"])


def stop_run(view: View) -> Response:
    """Stop a run."""
    return perform(view, _propose_run(view), title=_TITLE["run"])


def show_execution(view: View) -> Response:
    """Show what the stop of an execution would do."""
    return show_form(view, _propose_execution(view), title=_TITLE["execution"])


def stop_execution(view: View) -> Response:
    """Stop an execution."""
    return perform(view, _propose_execution(view), title=_TITLE["execution"])


def _propose_run(view: View) -> Proposal:
    run = view.backend.run(view.path["id"])

    def act(consent: Consent) -> Done:
        _check_open(view.backend.run(run.id))
        view.backend.stop(run.id, consent.reason, consent.author)
        return Done(f"The stop of {run.task} was requested.", view.link(f"/runs/{run.id}"), (run.id,))

    return Proposal("stop", run.id, "Stop this run", lambda: _describe_run(run), act)


def _describe_run(run: TaskRun) -> Sequence[str]:
    _check_open(run)
    effects = [
        f"Run {run.id} of {run.task}, which is {run.status}, is stopped.",
        "Its process receives SIGTERM, and SIGKILL after 30 seconds. What it has written remains.",
    ]
    if run.execution is not None:
        effects.append(f"It is a step of execution {run.execution}, where the step fails.")
    else:
        effects.append("It is not retried.")
    return effects


def _propose_execution(view: View) -> Proposal:
    execution = view.backend.execution(view.path["id"])

    def act(consent: Consent) -> Done:
        _check_open(view.backend.execution(execution.id))
        view.backend.stop(execution.id, consent.reason, consent.author)
        link = view.link(f"/executions/{execution.id}")
        return Done(f"The stop of {execution.workflow} was requested.", link, (execution.id,))

    return Proposal("stop", execution.id, "Stop this execution", lambda: _describe_execution(view, execution), act)


def _describe_execution(view: View, execution: WorkflowExecution) -> Sequence[str]:
    _check_open(execution)
    running = view.backend.count_runs(RunFilter(execution=execution.id, outcome="open"))
    return [
        f"Execution {execution.id} of {execution.workflow}, which is {execution.status}, ends as ABORTED.",
        f"Its {running} open {'run is' if running.number == 1 else 'runs are'} stopped.",
        "A redrive can continue it later.",
    ]


def _check_open(one: TaskRun | WorkflowExecution) -> None:
    if one.stopped_at is not None or one.status == "STOPPED":
        raise AlreadyEnded(f"{one.id} has already ended, so there is nothing to stop.")
