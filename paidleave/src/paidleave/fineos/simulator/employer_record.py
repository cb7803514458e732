"""The record of an employer in the response of ReadEmployer, complete and in the order of the vendor's schema.

Each line of a table is ``name value``. Values::

    @nil       an empty element with xsi:nil="true"       @NAME        the party's value NAME
    A|B|N      an InstanceDomainAndFullId with InstanceName A, DomainName B and FullId N
    any other text is the value itself, and no text is an empty element
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from paidleave.fineos.simulator.store import Party

_NULL_DATE = "1753-01-01T00:00:00"

_TASK_SUBJECT = """
OID @oid
BOEVersion 1
LastUpdateDate 2021-01-01T00:00:00
UserUpdatedBy PFML_API
"""

# The FullId of Category is invented. The recorded facts have none, and no client reads it.
_ORGANIZATION = f"""{_TASK_SUBJECT}
C_CORRESP_PRIVHOLDER 0
C_OSGROUP_OWP 0
CorrespNeedsTranslation false
CulturalConsiderations
CustomerNo @number
Disabled false
ExcludePartyFromSearch false
FailedLogonAttempts 0
GroupClient @GroupClient
I_CORRESP_PRIVHOLDER 0
I_OSGROUP_OWP 0
IdentificationNumberType Tax Identification Number|IdentificationNumberType|8736002
LastSuccessfulLogon @nil
NotificationIssued @NotificationIssued
PartyType @PartyType
Password
Position1 0
Position2 0
PronouncedAs @PronouncedAs
ReferenceGloballyUnique false
ReferenceNo
SecuredClient @SecuredClient
SelfServiceEnabled false
SourceSystem Internal|PartySourceSystem|8032000
SuppressMktg false
TenureStart @nil
UnVerified false
NextPartyNumber
PartyDetailsUpdated false
TransientNameAsString
AccountingDate @AccountingDate
BusinessType Unknown|Organisation Business Type|3328000
Category Unknown|Organisation Category|1
CompanyNumber
CorporateTaxDistrict
CorporateTaxNumber @fein
DateBusinessCommenced @DateBusinessCommenced
DoingBusinessAs @dba
EndOfTrading @nil
EOTReasonCode Unknown|EndOfTradingReasonCode|6592000
EOTReasonInd false
FinancialYearEnd @FinancialYearEnd
LegalBusinessName @name
LegalStatus Unknown|Legal Status|1408000
Name @name
PayeTaxDistrict
PayeTaxNumber
RegisteredNumber
ShortName @short
UpperName @upper
UpperRegisteredNumber
UpperShortName @upper-short
VatNumber
"""

_UNIT = f"""{_TASK_SUBJECT}
EffectiveFrom @nil
EffectiveTo @nil
ExternalReference
Name @name
SourceSystem Internal|PartySourceSystem|8032000
"""

_LOCATION = f"""{_TASK_SUBJECT}
Description
EffectiveFrom @nil
EffectiveTo @nil
ExternalReference
Name @name
PartyLocationAssociationType Unknown|Party Location Association Type|1
SourceSystem Internal|PartySourceSystem|8032000
UpperName @upper
ReferenceNumberValidated false
"""


def format_organization(party: Party) -> str:
    """Return the OCOrganisation element of ``party``."""
    upper = party.name.upper()
    values = party.kept | {
        "oid": f"PE:00012:{party.number:010d}",
        "number": str(party.number),
        "fein": party.fein,
        "dba": party.dba,
        "name": party.name,
        "upper": upper[:100],
        "short": party.name[:8],
        "upper-short": party.name[:8].upper()[:10],
    }
    units = "".join(_format_unit(oid, name) for oid, name in party.units)
    fields = _format_fields(_ORGANIZATION, values)
    return f"<OCOrganisation>{fields}<organisationUnits>{units}</organisationUnits></OCOrganisation>"


def _format_unit(oid: str, name: str) -> str:
    """Return the element of a unit with one location."""
    number = oid.rpartition(":")[2]
    location = _format_fields(_LOCATION, {"oid": f"PE:00033:{number}", "name": name, "upper": name.upper()[:200]})
    link = (
        f"<OrgUnitLocationLink>{_format_fields(_TASK_SUBJECT, {'oid': f'PE:00032:{number}'})}"
        "<partyLocationAssociation>"
        f"<OCPartyLocationAssociation>{location}</OCPartyLocationAssociation>"
        "</partyLocationAssociation></OrgUnitLocationLink>"
    )
    fields = _format_fields(_UNIT, {"oid": oid, "name": name})
    return f"<OrganisationUnit>{fields}<orgUnitLocationLinks>{link}</orgUnitLocationLinks></OrganisationUnit>"


def _format_fields(table: str, values: Mapping[str, str]) -> str:
    lines = (line.partition(" ") for line in table.splitlines() if line)
    return "".join(_format_leaf(name, _resolve(value, values)) for name, _, value in lines)


def _resolve(value: str, values: Mapping[str, str]) -> str | None:
    """Return the value of a table's line, or None for nil. The null date is a missing date at the vendor."""
    if value == "@nil":
        return None
    if not value.startswith("@"):
        return value
    text = values[value[1:]]
    if text == _NULL_DATE or (not text and value[1:] in _DATES):
        return None
    return text.replace("/", "|") if value == "@PartyType" else text


_DATES = frozenset({"AccountingDate", "DateBusinessCommenced", "FinancialYearEnd"})
_ENUMERATIONS = frozenset(
    {
        *("IdentificationNumberType", "PartyType", "SourceSystem", "BusinessType", "Category", "EOTReasonCode"),
        *("LegalStatus", "PartyLocationAssociationType"),
    }
)


def _format_leaf(name: str, text: str | None) -> str:
    if text is None:
        return f'<{name} xsi:nil="true"/>'
    if name in _ENUMERATIONS:
        instance, domain, full_id = text.split("|")
        return (
            f"<{name}><InstanceDomainAndFullId><InstanceName>{escape(instance)}</InstanceName>"
            f"<DomainName>{escape(domain)}</DomainName><FullId>{full_id}</FullId></InstanceDomainAndFullId></{name}>"
        )
    return f"<{name}>{escape(text)}</{name}>" if text else f"<{name}/>"
