"""A job runs in a child process; its parent, the supervisor, is all that the outside sees.

::

    engine or ECS ──▶ supervisor ──fork──▶ job
       log lines ◀── file descriptor 1 ◀── channel: log lines, events, secrets
                                       ◀── file descriptors 1 and 2 of the job and of all programs that it starts

Each line that the supervisor writes is a JSON object that the job runtime made. Text that arrives on the job's file
descriptors becomes the redacted ``message`` of such an object, so that it cannot be taken for one.
"""
