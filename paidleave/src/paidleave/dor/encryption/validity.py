"""The time during which a key can be used for encryption: its expiry and its revocation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from paidleave.dor.encryption.failure_cause import Cause, DecryptionFailed
from paidleave.dor.encryption.keyring import Keyring, keyring

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Period:
    """The time from ``start`` to ``end`` (None: unlimited) during which a key or subkey can encrypt.

    ``fingerprint`` is that of the primary key.
    """

    fingerprint: str
    start: datetime
    end: datetime | None
    is_revoked: bool


@dataclass(frozen=True)
class Validity:
    """The end of the use of a key for encryption. The key decrypts messages after it too.

    Attributes:
        end: The time at which the last of its encryption keys expires; None if one never expires.
        is_revoked: True if all of its encryption keys were revoked.
    """

    end: datetime | None
    is_revoked: bool

    def ends_within(self, time: timedelta, now: datetime) -> bool:
        """Return True if the key was revoked, has expired, or expires within ``time`` of ``now``."""
        return self.is_revoked or (self.end is not None and self.end < now + time)


def read_validity(private_key: SecretStr) -> Validity:
    """Return the validity of the armored ``private_key``.

    Raises:
        DecryptionFailed: ``private_key`` is not an armored private key that can decrypt.
        GpgMissing: gpg is not installed.
    """
    with keyring() as keys:
        if not keys.import_private_key(private_key):
            raise DecryptionFailed(Cause.KEY_UNREADABLE)
        periods = read_periods(keys, keys.run(["--export"]))
    if not periods:
        raise DecryptionFailed(Cause.KEY_UNREADABLE)
    usable = [period for period in periods if not period.is_revoked]
    ends = [period.end for period in usable or periods]
    return Validity(None if None in ends else max(end for end in ends if end), is_revoked=not usable)


def read_periods(keys: Keyring, public_keys: bytes) -> list[Period]:
    """Return the periods of the keys and subkeys of the exported ``public_keys`` that can encrypt."""
    periods = []
    primary: Period | None = None
    fingerprint, encrypts = "", False
    output = keys.run(["--with-colons", "--fixed-list-mode", "--show-keys"], public_keys)
    # The fields are those of doc/DETAILS in the source code of GnuPG, section "Format of the colon listings". The
    # fingerprint follows its key.
    current: Period | None = None
    for fields in (line.split(":") + [""] * 12 for line in output.decode(errors="replace").splitlines()):
        if fields[0] in ("pub", "sub"):
            start = _read_time(fields[5]) or datetime.min.replace(tzinfo=UTC)
            current = Period(fingerprint, start, _read_time(fields[6]), fields[1] == "r")
            if fields[0] == "pub":
                primary = None
            encrypts = "e" in fields[11]
        elif fields[0] == "fpr" and current is not None:
            if primary is None:
                fingerprint = fields[9]
                primary = current = replace(current, fingerprint=fingerprint)
            ends = [end for end in (primary.end, current.end) if end]
            if encrypts:
                revoked = primary.is_revoked or current.is_revoked
                periods.append(replace(current, end=min(ends, default=None), is_revoked=revoked))
    return periods


def select_period(periods: Sequence[Period], now: datetime) -> tuple[Period, datetime]:
    """Return the period of the best key, and the time closest to ``now`` at which this key can encrypt.

    The best key can encrypt now, or could until the latest time; revoked ones come last. ``periods`` is not empty.
    """

    def find_time(period: Period) -> datetime:
        return max(period.start, min(now, period.end - _SECOND) if period.end else now)

    best = min(periods, key=lambda period: (period.is_revoked, abs(find_time(period) - now)))
    return best, find_time(best)


def _read_time(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch("[0-9]{1,10}", text) else None
