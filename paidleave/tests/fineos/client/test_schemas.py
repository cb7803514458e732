"""The schemas in the package, compared with those built from the recorded facts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree

from paidleave.fineos.client import responses
from tests.fineos import vendor_schemas

FOLDER = Path(responses.__file__).parent / "schemas"
RESPONSES = ("ReadEmployer.Response", "UpdateOrCreateParty.Response", "ServiceAgreementService.Response")


@pytest.mark.parametrize("message", RESPONSES)
def test_the_clients_schema_is_the_vendors(message: str) -> None:
    document = vendor_schemas.build_document(message)
    etree.indent(document)
    file = FOLDER / f"{message}.xsd"
    if os.environ.get("WRITE_GOLDEN"):
        file.write_bytes(etree.tostring(document, encoding="UTF-8", xml_declaration=True) + b"\n")
    stored = etree.parse(file, etree.XMLParser(remove_blank_text=True)).getroot()
    etree.indent(stored)
    assert etree.tostring(stored, method="c14n") == etree.tostring(document, method="c14n")


def test_the_package_has_no_other_schema() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {f"{message}.xsd" for message in RESPONSES}
