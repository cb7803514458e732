"""A FINEOS to develop and test against: a real HTTP server that behaves as the vendor's interface promises.

What comes in goes through these rooms. Nothing in them is shared with our client, so that its mistakes show here::

    server     sockets, start and stop, lost connections
    app        routes, tokens, faults, the control interface
    document   bytes → elements; hostile XML ends here
    description  what a message must look like, field by field
    composer   the three calls: check, apply, answer
    agreements what a service agreement request does to an employer's leave plans
    feeds      eligibility files from the import folder: check, apply, refuse
    updates    the employee updates file for the export folder
    store      all that it knows, in one SQLite file; survives a kill at any moment

No log line of it holds a name, a FEIN or a URL's query.
"""

from paidleave.fineos.simulator.server import main

__all__ = ["main"]
