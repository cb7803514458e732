"""The end of a run in words: what happened, what its exit code means, and what to do next."""

from __future__ import annotations

import signal
from collections.abc import Mapping

from nightferry.backend.runs import TaskRun
from nightferry.contract import EXITED_REASON, OUT_OF_MEMORY, ExitCode

_MEANINGS: Mapping[int, str] = {
    ExitCode.SUCCESS: "",
    ExitCode.FAILURE: "The job failed.",
    ExitCode.BAD_SETTINGS: "The settings or arguments are invalid, so the job did nothing.",
    ExitCode.SKIPPED_IN_WORKFLOW: "The start was skipped, because another run of the task had not ended.",
    ExitCode.TIME_LIMIT: "The job reached the time limit of its task.",
    126: "The program of the command is not executable.",
    127: "The program of the command was not found.",
    ExitCode.KILLED: "The job was killed, because of its memory or because it did not stop in time.",
    ExitCode.STOPPED: "The job was stopped before it ended.",
}
_ADVICE: Mapping[int, str] = {
    ExitCode.FAILURE: "Read the last error below. After the cause is repaired, run the task again.",
    ExitCode.BAD_SETTINGS: "Correct the settings that the last error names, and run the task again with them.",
    ExitCode.SKIPPED_IN_WORKFLOW: "Wait until the other run has ended, then continue the execution.",
    ExitCode.TIME_LIMIT: "Compare the duration with the usual one. If the work has grown, raise the task's time_limit.",
    126: "Check the first word of the command in the catalog.",
    127: "Check the first word of the command in the catalog: the program must exist in the image.",
    ExitCode.KILLED: "Compare the peak memory with the size. If it is near the size, give the task more memory.",
}


def describe_end(run: TaskRun) -> str:
    """Return how a run ended, in a few words; empty while it is running, and for a success."""
    if run.status != "STOPPED" or run.succeeded:
        return ""
    code = "no exit code" if run.exit_code is None else f"exit code {run.exit_code}"
    reason = get_own_reason(run)
    return f"{code}: {reason}" if reason else code


def name_failure(run: TaskRun) -> str:
    """Return the kind of end of a failed run, in a few words, without its reason."""
    if _ran_out_of_memory(run):
        return "out of memory"
    match run.exit_code:
        case None:
            return "did not start" if run.started_at is None else "ended without an exit code"
        case ExitCode.TIME_LIMIT:
            return "time limit"
        case ExitCode.BAD_SETTINGS:
            return "invalid settings (exit code 2)"
    return f"exit code {run.exit_code}"


def get_own_reason(run: TaskRun) -> str:
    """Return the reason of the end of a run; empty if it has none but that of every container that ends."""
    return "" if run.reason is None or run.reason.rstrip(".") == EXITED_REASON else run.reason


def explain_exit(run: TaskRun) -> str:
    """Return the end of a run as a sentence; empty for a run that has not ended, and for a success."""
    if run.status != "STOPPED":
        return ""
    if _ran_out_of_memory(run):
        return "The job needed more memory than its task has."
    if run.exit_code is None:
        return "The task did not start." if run.started_at is None else "The task ended without an exit code."
    if run.stopped_by_user:
        return "A person or a command stopped the run."
    return _MEANINGS[run.exit_code] if run.exit_code in _MEANINGS else _describe_other(run.exit_code)


def advise(run: TaskRun) -> str:
    """Return what to do next about a failed run, as far as its exit code determines it; empty without advice."""
    if run.status != "STOPPED" or run.exit_code is None or run.stopped_by_user:
        return ""
    if _ran_out_of_memory(run):
        return _ADVICE[ExitCode.KILLED]
    return _ADVICE.get(run.exit_code, _ADVICE[ExitCode.FAILURE] if run.exit_code else "")


def _ran_out_of_memory(run: TaskRun) -> bool:
    return OUT_OF_MEMORY.lower() in (run.reason or "").lower()


def _describe_other(code: int) -> str:
    try:
        return f"The job was ended by the signal {signal.Signals(code - 128).name}."
    except ValueError:
        return "The job failed with an exit code of its own."
