"""Web pages on the runs, executions and files of an environment, through the interface of the backends.

A page is complete HTML from one request. It works without JavaScript, which only refreshes regions, follows logs and
adds keys. Each page function reads what it shows from the backend, in a worker thread; see :mod:`.routes` for the list.
"""
