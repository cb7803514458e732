"""Elements of an UpdateOrCreateParty request, in order, with their default values.

Names, order and enumeration IDs are those of the vendor's interface.
"""

from __future__ import annotations

from dataclasses import dataclass

NULL_DATE = "1753-01-01T00:00:00"
"""The value that FINEOS uses for "no date"."""


@dataclass(frozen=True)
class Enumeration:
    """A value of one of the vendor's enumerations."""

    instance: str
    domain: str
    full_id: int


@dataclass(frozen=True)
class Nil:
    """A date that FINEOS does not have. Its element is empty and has ``xsi:nil="true"``."""


Value = str | int | bool | Enumeration | Nil | None
"""The value of a leaf element. None is an empty element."""


INTEGRATION: dict[str, Value] = {
    "EffectiveDate": NULL_DATE,
    "EndDate": NULL_DATE,
    "PartyTypeFlag": "Employer",
    "SourceSystemName": "Unknown",
    "person": None,
}
"""Elements of PartyIntegrationDTO before its ``organisation`` element."""

RECORD: dict[str, Value] = {"LastUpdateDate": NULL_DATE, "UserUpdatedBy": "PFML_API", "persistent-boeversion": 0}
"""Common elements of a name record and of its default party."""

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
"""Elements of the first half of a party."""

ORGANIZATION: dict[str, Value] = {
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
"""Elements of the second half of a party. Only organizations have them."""

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
"""Elements of a party's name record."""
