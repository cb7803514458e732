"""The time during which a key can be used for encryption: its expiry and its revocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from paidleave.dor.encryption.failure_cause import Cause, DecryptionFailed
from paidleave.dor.encryption.keyring import Keyring, keyring

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Period:
    """The time from ``start`` to ``end`` (None: unlimited) during which a key or subkey can encrypt."""

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


def read_periods(keys: Keyring, public_key: bytes) -> list[Period]:
    """Return the periods of the keys and subkeys of the exported ``public_key`` that can encrypt."""
    periods = []
    primary: Period | None = None
    output = keys.run(["--with-colons", "--fixed-list-mode", "--show-keys"], public_key)
    # The fields are those of doc/DETAILS in the source code of GnuPG, section "Format of the colon listings".
    for fields in (line.split(":") for line in output.decode(errors="replace").splitlines()):
        if fields[0] not in ("pub", "sub"):
            continue
        period = Period(
            _read_time(fields[5]) or datetime.min.replace(tzinfo=UTC), _read_time(fields[6]), fields[1] == "r"
        )
        if fields[0] == "pub":
            primary = period
        elif primary is not None:
            ends = [end for end in (primary.end, period.end) if end]
            period = Period(period.start, min(ends, default=None), primary.is_revoked or period.is_revoked)
        if "e" in fields[11]:
            periods.append(period)
    return periods


def select_usable_time(periods: Sequence[Period], now: datetime) -> datetime | None:
    """Return None if a key can encrypt ``now``; otherwise the closest time to it at which the last key can."""
    if any(period.start <= now and (period.end is None or now < period.end) for period in periods):
        return None
    latest = max(periods, key=lambda period: period.end or now, default=None)
    if latest is None:
        return None
    return latest.start if now < latest.start else (latest.end or now) - _SECOND


def _read_time(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() else None
