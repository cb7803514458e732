"""What a page proposes to do, and what a person consented to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nightferry.backend.actions import ActionName
from nightferry.catalog.declarations import Task


@dataclass(frozen=True)
class Consent:
    """The reason that a person gave for an action, and the person."""

    reason: str
    author: str


@dataclass(frozen=True)
class Done:
    """What an action did: a sentence, the IDs that it started or changed, and the page that shows the result."""

    text: str
    link: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """An action that a form offers.

    Attributes:
        action: its name in the record and in the table of rights.
        target: the ID of the run or execution, or the name of the declaration, for the record.
        button: the text of the button, a verb with its object: "Stop this run".
        preview: returns sentences about what will happen, by a dry run, and changes nothing. An error is shown as the
            reason why the action is not possible.
        act: does it.
        tasks: the tasks that it starts by hand, whose declarations may refuse it or require a confirmation.
        needs_check: True if the form has fields of its own, so that its effects depend on their content. The form
            then has a button that shows the preview.
    """

    action: ActionName
    target: str
    button: str
    preview: Callable[[], Sequence[str]]
    act: Callable[[Consent], Done]
    tasks: Sequence[Task] = ()
    needs_check: bool = False
