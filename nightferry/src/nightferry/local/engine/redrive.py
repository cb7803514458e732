"""Starting a failed execution again from the state that failed, durably.

The history gets an event and the execution is open again, both or neither. Whoever works on open executions then takes
it up as after a crash: from its history.
"""

from __future__ import annotations

from nightferry.backend.interface import CannotRedrive
from nightferry.errors import UnknownName
from nightferry.local.engine.executor import restore_machine, save_step
from nightferry.local.store import HistoryDamaged, Store
from nightferry.local.store.times import now
from nightferry.states.data.errors import NotRedrivable


def redrive(store: Store, id: str, *, alone: bool, dry_run: bool = False) -> str:
    """Open the execution ``id`` again, and return its workflow.

    ``alone``: not while another execution of the workflow is open. ``dry_run``: only check whether it is possible.

    Raises UnknownName and CannotRedrive.
    """
    with store.transaction():
        record = store.execution(id)
        if record is None:
            raise UnknownName("execution", id, [execution.id for execution in store.executions(None, 5)])
        others = [other for other in store.open_execution_ids(record.workflow) if other != id]
        if alone and others:
            raise CannotRedrive(
                f"Execution {others[0]} of {record.workflow} is open, and two must not run at once. Wait for it, or "
                f"stop it: nightferry stop {others[0]}"
            )
        try:
            machine, written = restore_machine(store, record)
            if not written:
                raise CannotRedrive(f"Execution {id} has not begun: there is nothing to start again.")
            machine.redrive(now())
        except NotRedrivable:
            raise CannotRedrive(
                f"Execution {id} is {record.status}: only one that failed can be started again."
            ) from None
        except HistoryDamaged as damage:
            raise CannotRedrive(f"{damage} Start the workflow anew: nightferry start {record.workflow}") from None
        if dry_run:
            return record.workflow
        store.mark_execution_reopened(id)
        save_step(store, id, written, machine, machine.advance(now()))
    return record.workflow
