"""The messages of the three composer calls: ReadEmployer, UpdateOrCreateParty and ServiceAgreementService.

:mod:`paidleave.fineos.client.requests` builds their XML, :mod:`paidleave.fineos.client.answers` reads the answers.
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
    """An employer as FINEOS is to know it. ``kept`` is what the vendor's own record holds and must not lose."""

    employer_id: str
    fein: str
    legal_name: str
    dba: str
    kept: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class OrganisationUnit:
    """A part of an employer: the vendor's object id, its name, and the object ids of its work sites."""

    oid: str
    name: str
    work_sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Organisation:
    """An employer as FINEOS knows it; ``customer_number`` is the vendor's id of it."""

    customer_number: int
    kept: Mapping[str, Value]
    units: tuple[OrganisationUnit, ...] = ()


@dataclass(frozen=True)
class ServiceAgreement:
    """What FINEOS is to set for an employer's leave plans; None is not sent and stays as it is."""

    unlink_existing: bool
    absence_management: bool | None = None
    leave_plans: tuple[str, ...] | None = None
    start_date: date | None = None
    end_date: date | None = None


def xml_text(text: str) -> str:
    """``text`` with each character that XML 1.0 has no way to carry (controls, U+FFFE …) replaced by a blank."""
    return _NOT_XML.sub(" ", text)


_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
