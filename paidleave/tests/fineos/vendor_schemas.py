"""The vendor's XML Schemas, built from the recorded facts in ``tests/facts/fineos-schemas.json``.

They share no code with the client or the simulator. The facts do not record how often a choice may occur. A choice in
a list type (its name ends with ``_List``) occurs any number of times, because the old system sends such lists empty
although it validates its requests; any other choice occurs once.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

FACTS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "facts/fineos-schemas.json").read_text())
_XSD = "http://www.w3.org/2001/XMLSchema"
_BUILT_IN = ("string", "int", "long", "boolean", "dateTime", "decimal")


@cache
def build_schema(message: str) -> etree.XMLSchema:
    """Build the XML Schema of a message such as ``ReadEmployer.Response``."""
    return etree.XMLSchema(build_document(message))


def build_document(message: str) -> etree._Element:
    """Build the document of the XML Schema of ``message``."""
    facts = FACTS[message]
    namespace = facts["namespace"]
    root = etree.Element(f"{{{_XSD}}}schema", nsmap={"xs": _XSD, "f": namespace})
    root.set("targetNamespace", namespace)
    root.set("elementFormDefault", facts["elementFormDefault"])
    for name, kind in facts["root"].items():
        element = _add(root, "element", name=name)
        if isinstance(kind, str):
            element.set("type", f"f:{kind}")
        else:
            _define(element, kind)
    for name, kind in facts["types"].items():
        _define(root, kind, name)
    return root


def find_errors(message: str, body: bytes | str) -> list[str]:
    """Return the violations of the schema of ``message``."""
    schema = build_schema(message)
    schema.validate(etree.fromstring(body.encode() if isinstance(body, str) else body))
    log: Any = schema.error_log  # The type stubs declare no members.
    return [str(entry.message) for entry in log]


def _define(parent: etree._Element, facts: dict[str, Any], name: str | None = None) -> None:
    """Add the definition of a type, with a name or inside of an element."""
    named = {} if name is None else {"name": name}
    if "base" in facts:
        restriction = _add(_add(parent, "simpleType", **named), "restriction", base=f"xs:{facts['base']}")
        for facet in ("maxLength", "pattern"):
            if facet in facts:
                _add(restriction, facet, value=facts[facet])
        return
    complex_type = _add(parent, "complexType", **named)
    if "choice" in facts:
        many = {"minOccurs": "0", "maxOccurs": "unbounded"} if name and name.endswith("_List") else {}
        group, children = _add(complex_type, "choice", **many), facts["choice"]
    else:
        content = complex_type
        if "extends" in facts:
            content = _add(_add(complex_type, "complexContent"), "extension", base=f"f:{facts['extends']}")
        group, children = _add(content, "sequence"), facts["elements"]
    for child in children:
        element = _add(group, "element", name=child["name"], minOccurs=str(child["min"]))
        if "max" in child:
            element.set("maxOccurs", child["max"])
        if child.get("nillable"):
            element.set("nillable", "true")
        if "type" in child:
            element.set("type", ("xs:" if child["type"] in _BUILT_IN else "f:") + child["type"])
        else:
            _define(element, child)


def _add(parent: etree._Element, kind: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{_XSD}}}{kind}", attributes)


_SAMPLES = {
    "string": "",
    "int": "0",
    "long": "0",
    "boolean": "false",
    "decimal": "0",
    "dateTime": "1999-12-31T00:00:00",
}
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def build_organization(changes: dict[str, str] | None = None, *units: str) -> str:
    """Build a valid OCOrganisation of ReadEmployer with FEIN 123456789 and number 77 and these units.

    ``changes`` replaces the content of elements by name. The content ``nil`` is a nil element.
    """
    values = {"CustomerNo": "77", "CorporateTaxNumber": "123456789", "organisationUnits": "".join(units)}
    return _build_sample("OCOrganisation", "OCOrganisation", values | (changes or {}))


def build_unit(oid: str, name: str, *sites: str) -> str:
    """Build a valid OrganisationUnit whose only link has one location for each object ID of ``sites``."""
    prefix = "organisationUnits.orgUnitLocationLinks"
    locations = "".join(
        _build_sample(
            "OCPartyLocationAssociation", f"{prefix}.partyLocationAssociation_OCPartyLocationAssociation", {"OID": site}
        )
        for site in sites
    )
    link = _build_sample(
        "OrgUnitLocationLink", f"{prefix}_OrgUnitLocationLink", {"partyLocationAssociation": locations}
    )
    values = {"OID": oid, "Name": name, "orgUnitLocationLinks": link}
    return _build_sample("OrganisationUnit", "organisationUnits_OrganisationUnit", values)


def _build_sample(name: str, kind: str, values: dict[str, str]) -> str:
    """Build the element ``name`` of the complex type ``kind`` of ReadEmployer's response."""
    return f"<{name}>{''.join(_build_child(child, values) for child in _list_children(kind))}</{name}>"


def _list_children(kind: str) -> list[dict[str, Any]]:
    facts = FACTS["ReadEmployer.Response"]["types"][kind]
    inherited = _list_children(facts["extends"]) if "extends" in facts else []
    return inherited + list(facts["elements"])


def _build_child(child: dict[str, Any], values: dict[str, str]) -> str:
    name, kind = child["name"], child.get("type", child.get("base"))
    if values.get(name) == "nil":
        return f'<{name} xsi:nil="true"/>'
    if name in values:
        return f"<{name}>{values[name]}</{name}>"
    if kind == "FineosEnum":
        triple = "<InstanceName>Unknown</InstanceName><DomainName>Any</DomainName><FullId>1</FullId>"
        return f"<{name}><InstanceDomainAndFullId>{triple}</InstanceDomainAndFullId></{name}>"
    return f"<{name}>{'PE:1:1' if kind == 'OID' else _SAMPLES.get(kind, '')}</{name}>"
