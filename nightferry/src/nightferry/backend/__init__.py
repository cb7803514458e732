"""The interface of the backends, and the code that they share."""

from nightferry.backend.actions import Action, ActionFilter, ActionResult
from nightferry.backend.errors import CredentialsExpired, Refused, Unreachable
from nightferry.backend.executions import ExecutionSummary, WorkflowExecution
from nightferry.backend.interface import Backend, LogReader
from nightferry.backend.log_windows import LineFilter, LineNumber, LogLine, LogWindow
from nightferry.backend.queries import Count, Cursor, ExecutionFilter, Page, RunFilter
from nightferry.backend.reports import RecordsUnreachable, RejectedRecord, Report, ReportFilter
from nightferry.backend.runs import RunRequest, RunSummary, TaskRun
from nightferry.backend.states.values import StateExecution

__all__ = [
    "Action",
    "ActionFilter",
    "ActionResult",
    "Backend",
    "Count",
    "CredentialsExpired",
    "Cursor",
    "ExecutionFilter",
    "ExecutionSummary",
    "LineFilter",
    "LineNumber",
    "LogLine",
    "LogReader",
    "LogWindow",
    "Page",
    "RecordsUnreachable",
    "Refused",
    "RejectedRecord",
    "Report",
    "ReportFilter",
    "RunFilter",
    "RunRequest",
    "RunSummary",
    "StateExecution",
    "TaskRun",
    "Unreachable",
    "WorkflowExecution",
]
