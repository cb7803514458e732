"""The elements of an UpdateOrCreateParty request: their order, and what they hold where an employer has nothing to say.

Names, order and enumeration ids are facts of the vendor's interface.
"""

from __future__ import annotations

from dataclasses import dataclass

NULL_DATE = "1753-01-01T00:00:00"
"""What FINEOS takes for "no date"."""


@dataclass(frozen=True)
class Enumeration:
    """A value of one of the vendor's enumerations, which has three names at once."""

    instance: str
    domain: str
    full_id: int


Value = str | int | bool | Enumeration | None
"""A leaf of a message; None is an empty element."""


INTEGRATION: dict[str, Value] = {
    "EffectiveDate": NULL_DATE,
    "EndDate": NULL_DATE,
    "PartyTypeFlag": "Employer",
    "SourceSystemName": "Unknown",
    "person": None,
}
"""Of PartyIntegrationDTO, before its organisation."""

RECORD: dict[str, Value] = {"LastUpdateDate": NULL_DATE, "UserUpdatedBy": "PFML_API", "persistent-boeversion": 0}
"""Of a stored record: a name, and the default party that the name belongs to."""

PARTY: dict[str, Value] = {
    "C_CORRESP_PRIVHOLDER": 0,
    "C_OSGROUP_OWP": 0,
    "CulturalConsiderations": None,
    "CustomerNo": None,
    "Disabled": False,
    "ExcludePartyFromSearch": False,
    "FailedLogonAttempts": 0,
    "GroupClient": False,
    "I_CORRESP_PRIVHOLDER": 0,
    "I_OSGROUP_OWP": 0,
    "IdentificationNumberType": Enumeration("Tax Identification Number", "IdentificationNumberType", 8736002),
    "LastSuccessfulLogon": NULL_DATE,
    "NotificationIssued": False,
    "PartyType": Enumeration("Employer", "Party Type", 3290008),
    "Password": None,
    "Position1": 0,
    "Position2": 0,
    "PronouncedAs": None,
    "ReferenceGloballyUnique": False,
    "ReferenceNo": None,
    "SecuredClient": False,
    "SelfServiceEnabled": False,
    "SourceSystem": Enumeration("Internal", "PartySourceSystem", 8032000),
    "SuppressMktg": False,
    "TenureStart": NULL_DATE,
}
"""The first half of a party."""

ORGANISATION: dict[str, Value] = {
    "AccountingDate": NULL_DATE,
    "BusinessType": Enumeration("Unknown", "Organisation Business Type", 3328000),
    "CompanyNumber": None,
    "CorporateTaxDistrict": None,
    "CorporateTaxNumber": None,
    "DateBusinessCommenced": NULL_DATE,
    "DateOfIncorporation": NULL_DATE,
    "DoingBusinessAs": None,
    "EndOfTrading": NULL_DATE,
    "EOTReasonCode": Enumeration("Unknown", "EndOfTradingReasonCode", 6592000),
    "EOTReasonInd": False,
    "FinancialYearEnd": NULL_DATE,
    "LegalBusinessName": None,
    "LegalStatus": Enumeration("Unknown", "Legal Status", 1408000),
    "Name": None,
    "PayeTaxDistrict": None,
    "PayeTaxNumber": None,
    "RegisteredNumber": None,
    "ShortName": None,
    "UpperName": None,
    "UpperRegisteredNumber": None,
    "UpperShortName": None,
    "VatNumber": None,
}
"""The second half of a party: what only organisations have."""

NAME: dict[str, Value] = {
    "Description": None,
    "DoingBusinessAs": None,
    "LegalBusinessName": None,
    "Name": None,
    "NameType": Enumeration("Unknown", "OrganisationNameType", 6240000),
    "PronouncedAs": None,
    "ShortName": None,
    "UpperName": None,
    "UpperShortName": None,
    "ValidFrom": NULL_DATE,
    "ValidTo": NULL_DATE,
    "DefaultName": True,
    "RunBOValidations": True,
}
"""Of a party's name record."""
