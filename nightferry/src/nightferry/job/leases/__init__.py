"""One run at a time: what a second start of a task does while a first one runs.

A lease is a promise with an end: its holder renews it while it works, and when the holder dies it runs out by itself.

::

    skip      held → the start ends at once: exit 0, inside a workflow 75
    queue     held → wait until it is free
    replace   held → ask the holder to stop, wait until it has, and take its place

Inside a workflow a lease belongs to the execution: a retry of the task takes over from its dead predecessor at once,
and branches of one execution run side by side. It is given back when the last of the owner's processes ends.
"""

from nightferry.job.leases.lease import Lease, Overlapping, Timing, hold, place_for
from nightferry.job.leases.state import LeaseError

__all__ = ["Lease", "LeaseError", "Overlapping", "Timing", "hold", "place_for"]
