"""Leases, which ensure one run at a time: a second start of a task follows its overlap policy.

The holder of a lease renews it while the job runs. The lease expires on its own after the holder dies.

::

    skip      held → the start exits at once with code 0, in a workflow with code 75
    queue     held → wait until the lease is free
    replace   held → request that the holder stop, wait until it has stopped, and acquire the lease

In a workflow the lease belongs to the execution: a retry of the task acquires it immediately from its dead
predecessor, and branches of one execution run in parallel. It is released when the owner's last process ends.
"""

from nightferry.job.leases.lease import Lease, LeaseTiming, StartSkipped, hold_lease, open_lease_store
from nightferry.job.leases.state import LeaseError

__all__ = ["Lease", "LeaseError", "LeaseTiming", "StartSkipped", "hold_lease", "open_lease_store"]
