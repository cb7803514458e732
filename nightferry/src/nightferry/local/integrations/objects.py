"""``aws-sdk:s3:getObject``: the content of a file in the folder of a bucket, as text."""

from __future__ import annotations

from typing import Any

from nightferry import storage
from nightferry.local.integrations.resource_call import ResourceCall
from nightferry.states.machine.commands import TaskFailed, TaskStarted, TaskSucceeded

MAX_BYTES = 262_144
"""The largest output of a state (Step Functions developer guide, "Quotas"). A larger object is not read."""


class GetObject:
    """Reads one object. ``Bucket`` is the location of the bucket's folder."""

    async def begin(self, call: ResourceCall) -> None:
        """See :class:`nightferry.local.integrations.resource_call.ResourceHandler`."""
        call.report(TaskStarted())
        call.report(_read(call.parameters))

    def cancel(self, token: str, reason: str) -> None:
        """Do nothing, because a call ends when it begins."""


def _read(parameters: dict[str, Any]) -> TaskSucceeded | TaskFailed:
    bucket, key = parameters.get("Bucket"), parameters.get("Key")
    if not isinstance(bucket, str) or not isinstance(key, str) or not key:
        return TaskFailed("S3.S3Exception", "Bucket and Key must be texts.")
    try:
        with storage.open_read(storage.join(bucket, key)) as stream:
            content = stream.read(MAX_BYTES + 1)
    except storage.ObjectNotFound:
        # S3 returns 403 instead of 404, because the role of a workflow may not list the bucket.
        return TaskFailed("S3.S3Exception", f"Access Denied: {key} does not exist, or the workflow may not read it.")
    except storage.StorageError as error:
        return TaskFailed("S3.S3Exception", str(error))
    if len(content) > MAX_BYTES:
        return TaskFailed("States.DataLimitExceeded", f"The object {key} exceeds {MAX_BYTES:,} bytes.")
    try:
        return TaskSucceeded({"Body": content.decode(), "ContentLength": len(content)})
    except UnicodeDecodeError:
        return TaskFailed("S3.S3Exception", f"The object {key} is not text in UTF-8.")
