"""The retry of a group of failures: one start after the other, with the result of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nightferry.backend.errors import CannotRedrive, Unreachable
from nightferry.backend.interface import Backend
from nightferry.dashboard.batches.batch import Batch, Order, Row
from nightferry.errors import NightferryError
from nightferry.presentation.problems.grouping import Retry
from nightferry.presentation.quantities import format_quantity

MOST_CHECKED = 25
"""The number of retries that a preview checks where each check needs several calls of AWS."""

_SHOWN_REASONS = 5


@dataclass(frozen=True)
class Check:
    """The result of a dry run: how many retries were checked, and why some of them are not possible."""

    checked: int
    refusals: tuple[tuple[str, str], ...]

    def list_effects(self, retries: Sequence[Retry], failures: int) -> list[str]:
        """Return sentences about what the retry of all will do. Raises CannotRedrive if none is possible."""
        runs = sum(retry.kind == "task" for retry in retries)
        parts = [
            (runs, "run starts again", "runs start again"),
            (len(retries) - runs, "execution continues", "executions continue"),
        ]
        done = " and ".join(f"{number:,} {one if number == 1 else many}" for number, one, many in parts if number)
        order = ", one after the other, the oldest first" if len(retries) > 1 else ""
        effects = [f"For {format_quantity(failures, 'failure')}, {done or 'nothing starts'}{order}."]
        if self.checked < len(retries):
            effects.append(
                f"The first {self.checked} of {len(retries):,} were checked; the others are checked when they start."
            )
        reasons = [reason for reason, _ in Counter(reason for _, reason in self.refusals).most_common(_SHOWN_REASONS)]
        if self.refusals and len(self.refusals) == len(retries):
            raise CannotRedrive("\n".join(["Nothing of this group can be retried.", *reasons]))
        if self.refusals:
            number = len(self.refusals)
            effects += [f"{number:,} of the {self.checked:,} cannot be retried, and are left out:", *reasons]
        return effects


def check_retries(backend: Backend, retries: Sequence[Retry]) -> Check:
    """Check retries without starting anything. On AWS, only the first :data:`MOST_CHECKED`."""
    checked = retries[:MOST_CHECKED] if backend.outlives_client else retries
    refusals = []
    for retry in checked:
        try:
            retry.perform(backend, dry_run=True)
        except Unreachable:
            raise
        except NightferryError as error:
            refusals.append((retry.id, str(error)))
    return Check(len(checked), tuple(refusals))


class RetryBatch(Batch):
    """Retries, in order. One that is refused does not end the batch."""

    def __init__(self, order: Order, retries: Sequence[Retry]) -> None:
        super().__init__(order, [Row(f"{retry.kind} {retry.id}") for retry in retries])
        self._retries = list(retries)

    def work(self, backend: Backend) -> None:
        """Make the retries."""
        for retry, row in zip(self._retries, self.rows, strict=True):
            if self.stopping.is_set():
                row.state, row.text = "skipped", "stopped before its turn"
                continue
            try:
                id = retry.perform(backend)
            except Unreachable as error:  # whether it was started is not known; a further retry is safe
                row.state, row.text = "failed", str(error)
                raise
            except NightferryError as error:
                row.state, row.text = "failed", str(error)
                continue
            row.state, row.path = "started", f"/{'runs' if retry.kind == 'task' else 'executions'}/{id}"
        if self.count("started"):
            backend.detach()

    def describe(self) -> str:
        """Return the numbers of starts and refusals."""
        started, failed, rest = self.count("started"), self.count("failed"), self.count("queued", "skipped")
        text = f"{started:,} of {len(self.rows):,} started"
        text += f", {failed:,} refused" if failed else ""
        return f"{text}{f', {rest:,} not yet started' if rest else ''}."
