"""``make demo``: the nightly DOR → FINEOS ETL on this machine, with the outcome of every line.

::

    command ── secrets, PostgreSQL, FINEOS simulator
       └─► nightly_run ── migrate, generate DOR's files, run the workflow, import the feed files into the simulator
              ├─► summary ── the outcome of every line, the content of the database and of FINEOS
              └─► arrivals ── files that start a job when they arrive, from the second day on

Each call simulates the next day. The first one imports all employers, the later ones the changes of a day. A call
resumes an earlier one that was interrupted.
"""

from paidleave.demo.command import main

__all__ = ["main"]
