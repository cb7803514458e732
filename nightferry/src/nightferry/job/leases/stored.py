"""Leases as small objects below a folder, written only if nobody else has written them meanwhile."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from nightferry import storage
from nightferry.contract import lease_key
from nightferry.job.leases.state import Found, LeaseError, LeaseState


class StoredLeases:
    """One object per lease in ``folder`` (s3:// or local), reached by ``objects``; times are this machine's."""

    def __init__(self, folder: str, objects: storage.Storage | None = None) -> None:
        self._folder = folder
        self._objects = objects or storage.session()

    def read(self, name: str) -> Found:
        """The lease of that name."""
        now = datetime.now(UTC)
        loaded = self._objects.load(self._uri(name))
        if loaded is None:
            return Found(None, now, None)
        data, version = loaded
        return Found(_state(data, self._uri(name)), now, version)

    def replace(self, name: str, found: Found, new: LeaseState | None) -> bool:
        """Write ``new`` in place of what was found; False if that has changed. A free lease is an empty object."""
        return self._objects.store(self._uri(name), b"" if new is None else _document(new), expected=found.token)

    def _uri(self, name: str) -> str:
        return storage.join(self._folder, lease_key(name))


def _document(state: LeaseState) -> bytes:
    fields = {"holder": state.holder} | {
        key: getattr(state, key).isoformat() for key in ("acquired_at", "renewed_at", "expires_at")
    }
    return json.dumps(fields).encode()


def _state(data: bytes, uri: str) -> LeaseState | None:
    if not data:
        return None
    try:
        fields = json.loads(data)
        owner, runs, successor = LeaseState.parse_holder(fields["holder"])
        times = [datetime.fromisoformat(fields[key]) for key in ("acquired_at", "renewed_at", "expires_at")]
        return LeaseState(owner, runs, successor, *times)
    except (ValueError, KeyError, TypeError):
        raise LeaseError(f"{uri} is no lease. Remove it when no run is under way.") from None
