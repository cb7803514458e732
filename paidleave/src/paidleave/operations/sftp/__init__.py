"""SFTP: keys, host keys, sessions, the protocol, and verified transfers between a server and the bucket.

``transfers`` reads and writes files through ``client``, on a connection that ``session`` opens with the keys of
``private_key`` and ``host_keys``. The command is ``paidleave.operations.sftp_tool``.
"""
