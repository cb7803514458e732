"""Credentials per location: our own, or the vendor's role for the vendor's buckets."""

from __future__ import annotations

from nightferry import storage
from nightferry.storage import Storage, parse
from paidleave.exchange.settings import VendorSettings, is_below


class Storages:
    """Our storage and the vendor's; both are the same object if no role is configured."""

    def __init__(self, settings: VendorSettings) -> None:
        role = settings.fineos_aws_iam_role_arn
        self._ours = storage.session()
        self._vendors = (
            storage.session(role_arn=role, external_id=settings.fineos_aws_iam_role_external_id) if role else self._ours
        )
        self._locations = [parse(location) for location in settings.fineos_locations.split()]

    def select(self, uri: str) -> Storage:
        """Return the storage whose credentials give access to ``uri``."""
        location = parse(uri)
        return self._vendors if any(is_below(location, folder) for folder in self._locations) else self._ours
