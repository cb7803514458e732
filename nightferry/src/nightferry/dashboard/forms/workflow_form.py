"""The form that starts a workflow: its input as JSON, or a field for each member that the workflow reads.

The text of a member is JSON, such as 7, true or "007". Any other text is a string.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nightferry.backend.request_checks import check_input
from nightferry.catalog.declarations import Workflow
from nightferry.contract import OBJECT_MEMBERS, SCHEDULE_MEMBERS
from nightferry.dashboard.forms.run_form import Field, RunInput
from nightferry.errors import NightferryError
from nightferry.states.data.payload import NotJson, loads

INPUT = "input"
MOST_BYTES = 262_144
"""The largest input of an execution (Step Functions, quotas)."""

_MEMBER = "member."


class NotAnInput(NightferryError):
    """The text is not JSON, or is too long. The message has the reason."""


def list_members(workflow: Workflow) -> Sequence[str]:
    """Return the members that have a field of their own; none if the workflow may read any."""
    return () if workflow.inputs is None else workflow.inputs


def list_fields(workflow: Workflow, entered: RunInput, visible: set[str]) -> list[Field]:
    """Return the fields. ``visible`` are those whose text may be shown; the others are empty."""
    fields = []
    for member in list_members(workflow):
        supplied = member in OBJECT_MEMBERS | SCHEDULE_MEMBERS
        name = f"{_MEMBER}{member}"
        hint = 'JSON, such as 7, true or "007". Any other text is a string.'
        if supplied:
            hint += " A schedule or a trigger supplies this member."
        text = entered.texts.get(name, "") if name in visible else ""
        required = member in workflow.required
        fields.append(Field(name, member, "area", text, hint=hint, current="" if required else "not part of the input",
                            required=required))  # fmt: skip
    text = entered.texts.get(INPUT, "") if INPUT in visible else ""
    if fields:
        more = "Further members as a JSON object. The fields above take precedence."
        return [*fields, Field(INPUT, "More of the input", "area", text, hint=more, current="no further members")]
    return [Field(INPUT, "Input", "area", text, hint="The input of the execution, as JSON.", current="{}")]


def read_input(workflow: Workflow, entered: RunInput) -> Any:
    """Return the input of a sent form. Raises NotAnInput, or InvalidInput if the workflow does not accept it."""
    text = entered.texts.get(INPUT, "").strip()
    value = _load(text) if text else {}
    members = {}
    for member in list_members(workflow):
        part = entered.texts.get(f"{_MEMBER}{member}", "").strip()
        if part:
            members[member] = _load_member(part)
    if members:
        if not isinstance(value, dict):
            raise NotAnInput("The input must be a JSON object, because members of it have values of their own.")
        value = value | members
    if len(json.dumps(value).encode()) > MOST_BYTES:
        raise NotAnInput(f"The input has more than {MOST_BYTES:,} bytes. Pass the address of an object instead.")
    check_input(workflow, value)
    return value


def _load(text: str) -> Any:
    try:
        return loads(text)
    except NotJson as error:
        raise NotAnInput(f"The input is not JSON: {error}.") from None


def _load_member(text: str) -> Any:
    try:
        return loads(text)
    except NotJson:
        return text
