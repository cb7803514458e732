"""The context object: an execution's data about itself. Source: developer guide, "Accessing execution data"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from nightferry.states.data.payload import Json
from nightferry.states.language.model import TaskState
from nightferry.states.machine.commands import Item
from nightferry.states.machine.memory.containers import Stream
from nightferry.states.machine.memory.frames import Frame

_START = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class ContextInfo:
    """The identity of an execution."""

    execution_id: str = "arn:aws:states:us-east-1:000000000000:execution:state-machine:execution"
    execution_name: str = "execution"
    role_arn: str = "arn:aws:iam::000000000000:role/state-machine"
    state_machine_id: str = "arn:aws:states:us-east-1:000000000000:stateMachine:state-machine"
    state_machine_name: str = "state-machine"
    start_time: datetime = _START
    redrive_count: int = 0


def format_timestamp(moment: datetime | None) -> str:
    """Return a time in the format of the context object: UTC with milliseconds."""
    if moment is None:
        return ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def make_context_object(info: ContextInfo, frame: Frame, token: str = "", item: tuple[int, Item] | None = None) -> Json:
    """Return the context object of the frame's current state."""
    stream = frame.stream
    child = stream.child
    state: Json = {"Name": frame.current.name, "EnteredTime": format_timestamp(frame.entered_at)}
    if isinstance(frame.current, TaskState):
        state["RetryCount"] = sum(frame.retries)
    context: Json = {
        "Execution": {
            "Id": _make_id(info, stream),
            "Input": stream.input.value,
            "StartTime": format_timestamp(stream.started or info.start_time),
            "Name": child or info.execution_name,
            "RoleArn": info.role_arn,
            "RedriveCount": stream.redrives,
            **({"RedriveTime": format_timestamp(stream.redriven)} if stream.redriven else {}),
        },
        "StateMachine": {"Id": info.state_machine_id, "Name": info.state_machine_name},
        "State": state,
    }
    item = item or _find_item(frame)
    if item is not None:
        context["Map"] = {"Item": _describe_item(*item)}
    if token:
        context["Task"] = {"Token": token}
    return context


def _make_id(info: ContextInfo, stream: Stream) -> str:
    """Return the execution's ARN; that of an Express execution ends with a unique ID (IAM reference, "states")."""
    id = f"{info.execution_id}/{stream.child}" if stream.child else info.execution_id
    if not stream.express or ":execution:" not in id:
        return id
    return f"{id.replace(':execution:', ':express:', 1)}:{uuid5(NAMESPACE_URL, id)}"


def _describe_item(index: int, item: Item) -> Json:
    key = {} if item.key is None else {"Key": item.key}
    return {"Index": index, **key, "Value": item.value, "Source": item.source}


def _find_item(frame: Frame | None) -> tuple[int, Item] | None:
    while frame is not None:
        if frame.item is not None:
            return frame.item
        if frame.distributed:
            return None
        frame = frame.parent
    return None
