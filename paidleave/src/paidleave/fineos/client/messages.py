"""Messages of the three composer calls: ReadEmployer, UpdateOrCreateParty and ServiceAgreementService.

:mod:`paidleave.fineos.client.requests` builds the request XML, :mod:`paidleave.fineos.client.responses` parses the
response XML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from paidleave.fineos.client.party_fields import Value

READ_EMPLOYER = "ReadEmployer"
UPDATE_OR_CREATE_PARTY = "UpdateOrCreateParty"
SERVICE_AGREEMENT = "ServiceAgreementService"

NAMESPACE = "http://www.fineos.com/wscomposer/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True)
class Party:
    """An employer to create or update at FINEOS.

    ``preserved`` contains fields of the vendor's record that the update must repeat to preserve them.
    """

    employer_id: str
    fein: str
    legal_name: str
    dba: str
    preserved: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class OrganizationUnit:
    """A part of an employer: the vendor's object ID, the name, and the object IDs of the work sites."""

    oid: str
    name: str
    work_sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Organization:
    """An employer at FINEOS. The vendor assigns the ``customer_number``."""

    customer_number: int
    preserved: Mapping[str, Value]
    units: tuple[OrganizationUnit, ...] = ()


@dataclass(frozen=True)
class ServiceAgreement:
    """The settings of an employer's leave plans. Fields with the value None are not sent and remain unchanged."""

    unlink_existing: bool
    absence_management: bool | None = None
    leave_plans: tuple[str, ...] | None = None
    start_date: date | None = None
    end_date: date | None = None


def replace_invalid_characters(text: str) -> str:
    """Return ``text`` with a space in place of each character that XML 1.0 cannot contain (controls, U+FFFE …)."""
    return _INVALID_CHARACTERS.sub(" ", text)


_INVALID_CHARACTERS = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
