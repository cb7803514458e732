"""Redrive: continue a failed execution at the state that failed.

One transaction adds an event to the history and reopens the execution. The engine then resumes the execution from its
history, as after a crash.
"""

from __future__ import annotations

from nightferry.backend import request_checks
from nightferry.backend.errors import CannotRedrive
from nightferry.catalog.catalog import Catalog
from nightferry.errors import UnknownName
from nightferry.local.engine.executor import restore_machine, save_step
from nightferry.local.store import HistoryDamaged, Store
from nightferry.local.store.times import now
from nightferry.states.data.errors import NotRedrivable


def redrive(store: Store, catalog: Catalog, id: str, *, dry_run: bool = False) -> str:
    """Reopen the execution ``id`` and return its workflow. With ``dry_run``, only check that it is possible.

    Raises UnknownName and CannotRedrive.
    """
    with store.transaction():
        record = store.execution(id)
        if record is None:
            raise UnknownName("execution", id, [execution.id for execution in store.executions(limit=5)])
        request_checks.check_alone(catalog, record, store.open_execution_ids(record.workflow))
        try:
            machine, written = restore_machine(store, record)
            if not written:
                raise CannotRedrive(f"Cannot redrive execution {id}: it has not started.")
            machine.redrive(now())
        except NotRedrivable as reason:
            raise CannotRedrive(f"Cannot redrive execution {id}: {reason}") from None
        except HistoryDamaged as damage:
            raise CannotRedrive(f"{damage} Start the workflow again: nightferry start {record.workflow}") from None
        if dry_run:
            return record.workflow
        store.mark_execution_reopened(id)
        # The engine runs the states: their expressions may need seconds, and this transaction locks the store.
        save_step(store, id, written, machine, machine.advance(now(), interrupted=lambda: True))
    return record.workflow
