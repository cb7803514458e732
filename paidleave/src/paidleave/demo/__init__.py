"""``make demo``: a night of the DOR → FINEOS ETL on this machine, and an account of every line.

::

    command ── secrets, PostgreSQL, FINEOS simulator
       └─► night ── migrate, generate DOR's files, run the workflow, have the simulator take in what it was sent
              └─► account ── what became of every line, what is where

Each call is the next day: the first brings all employers, every later one the changes of a day. A call that was
interrupted is gone on with by the next.
"""

from paidleave.demo.command import main

__all__ = ["main"]
