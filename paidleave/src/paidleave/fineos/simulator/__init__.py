"""A FINEOS simulator for development and tests: an HTTP server that implements the vendor's interface.

It shares no code with the client, so that tests detect the client's errors. Its modules::

    server          sockets, start and stop, closed connections
    app             routes, tokens, faults, the control interface
    document        bytes → elements, rejects malicious XML
    message_schema  the schema of messages, field by field
    composer        the three calls: validate, apply, respond
    employer_record the record of an employer in the response of ReadEmployer
    agreements      effect of a service agreement request on an employer's leave plans
    feeds           eligibility files from the import folder: validate, apply, reject
    feed_schema     the columns of eligibility files
    updates         the employee updates file in the export folder
    store           the state in one SQLite file, safe against kills
    faults          injected faults

Log lines contain no name, FEIN or URL query.
"""

from paidleave.fineos.simulator.server import main

__all__ = ["main"]
