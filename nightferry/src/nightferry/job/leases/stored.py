"""Leases as small objects in a folder, written only if no one else has changed them since they were read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from nightferry import storage
from nightferry.contract import format_lease_location
from nightferry.job.leases.state import LeaseError, LeaseSnapshot, LeaseState


class StoredLeases:
    """A store with one object per lease in ``folder`` (s3:// or local), timed by this machine's clock."""

    def __init__(self, folder: str, objects: storage.Storage | None = None) -> None:
        self._folder = folder
        self._objects = objects or storage.session()

    def read(self, name: str) -> LeaseSnapshot:
        """Return the lease ``name``."""
        now = datetime.now(UTC)
        loaded = self._objects.load(self._make_uri(name))
        if loaded is None:
            return LeaseSnapshot(None, now, None)
        data, version = loaded
        return LeaseSnapshot(_decode_state(data, self._make_uri(name)), now, version)

    def replace(self, name: str, found: LeaseSnapshot, new: LeaseState | None) -> bool:
        """Replace the lease with ``new``; return False if it has changed since ``found`` was read.

        A free lease is an empty object.
        """
        return self._objects.store(
            self._make_uri(name), b"" if new is None else _encode_state(new), expected=found.token
        )

    def _make_uri(self, name: str) -> str:
        return format_lease_location(self._folder, name)


def _encode_state(state: LeaseState) -> bytes:
    fields = {"holder": state.holder} | {
        key: getattr(state, key).isoformat() for key in ("acquired_at", "renewed_at", "expires_at")
    }
    return json.dumps(fields).encode()


def _decode_state(data: bytes, uri: str) -> LeaseState | None:
    if not data:
        return None
    try:
        fields = json.loads(data)
        owner, runs, successor = LeaseState.parse_holder(fields["holder"])
        times = [datetime.fromisoformat(fields[key]) for key in ("acquired_at", "renewed_at", "expires_at")]
        return LeaseState(owner, runs, successor, *times)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise LeaseError(f"{uri} is not a lease. Delete the object while no run is in progress.") from None
