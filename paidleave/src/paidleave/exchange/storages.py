"""With whose credentials a location is read and written: ours, or the vendor's role for the vendor's buckets."""

from __future__ import annotations

from nightferry import storage
from nightferry.storage import Storage, parse
from paidleave.exchange.settings import VendorSettings, is_below


class Storages:
    """Two storages, which are one when there is no role to assume."""

    def __init__(self, settings: VendorSettings) -> None:
        role = settings.fineos_aws_iam_role_arn
        self._ours = storage.session()
        self._vendors = (
            storage.session(role_arn=role, external_id=settings.fineos_aws_iam_role_external_id) if role else self._ours
        )
        self._locations = [parse(location) for location in settings.fineos_locations.split()]

    def storage_of(self, uri: str) -> Storage:
        """The storage that may use ``uri``."""
        location = parse(uri)
        return self._vendors if any(is_below(location, folder) for folder in self._locations) else self._ours
