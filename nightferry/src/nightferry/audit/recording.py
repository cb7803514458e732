"""Record an action: its request before it, and its result after it, whatever happens in between."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nightferry.backend.actions import Action, ActionLog, ActionName, ActionResult, Via
from nightferry.clock import Clock
from nightferry.contract import Privacy
from nightferry.errors import NightferryError
from nightferry.job.redaction import Redactor
from nightferry.printable import make_one_line

LONGEST_REASON = 500
_LONGEST_RESULT = 1000
_MOST_IDS = 1000  # of one result; a larger group is described by its number


@dataclass
class Outcome:
    """What an action reports about itself: its result in words, and the IDs that it started or changed."""

    text: str = "done"
    ids: list[str] = field(default_factory=list)


class Recorder:
    """Records the actions of one person through one interface, with redacted texts."""

    def __init__(self, log: ActionLog, author: str, via: Via, privacy: Privacy, clock: Clock) -> None:
        self._log = log
        self._author = author
        self._via = via
        self._redactor = Redactor(privacy)
        self._clock = clock

    @contextmanager
    def record(self, name: ActionName, target: str, reason: str = "") -> Iterator[Outcome]:
        """Record the request of the action that is done in the block, and its result from the yielded outcome.

        An error that leaves the block is the result. A killed process leaves a request without a result.
        """
        id = uuid.uuid4().hex
        self._log.add_action(
            Action(
                id=id,
                time=self._clock.now(),
                author=self._author,
                action=name,
                target=target,
                reason=self._shorten(reason, LONGEST_REASON),
                via=self._via,
            )
        )
        outcome = Outcome()
        try:
            yield outcome
        except NightferryError as error:
            self._end(id, outcome, str(error), failed=True)
            raise
        except BaseException as error:  # also a Ctrl-C; its message may quote data
            self._end(id, outcome, f"ended by {type(error).__name__}", failed=True)
            raise
        self._end(id, outcome, outcome.text, failed=False)

    def _end(self, id: str, outcome: Outcome, text: str, *, failed: bool) -> None:
        shown = self._shorten(text, _LONGEST_RESULT)
        self._log.add_action_result(ActionResult(id, self._clock.now(), failed, shown, tuple(outcome.ids[:_MOST_IDS])))

    def _shorten(self, text: str, length: int) -> str:
        shown = make_one_line(self._redactor.redact_text(text))
        return shown if len(shown) <= length else shown[: length - 1] + "…"
