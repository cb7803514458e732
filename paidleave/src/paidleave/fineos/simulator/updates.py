"""Export of the employee updates file with the employees imported since the last export."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from paidleave.fineos.simulator.store import SimulatorStore

SUFFIX = "-EmployeeDataLoad_feed.csv"

_FROM_FEED = {
    "EMPLOYEEIDENTIFIER": "employeeIdentifier",
    "EMPLOYEETITLE": "employeeTitle",
    "EMPLOYEEDATEOFBIRTH": "employeeDateOfBirth",
    "EMPLOYEEDATEOFHIRE": "employeeDateOfHire",
    "EMPLOYEEENDDATE": "employeeEndDate",
    "EMPLOYEEGENDER": "employeeGender",
    "EMPLOYEEMARITALSTATUS": "employeeMaritalStatus",
    "TELEPHONEINTCODE": "telephoneIntCode",
    "TELEPHONEAREACODE": "telephoneAreaCode",
    "TELEPHONENUMBER": "telephoneNumber",
    "CELLINTCODE": "cellIntCode",
    "CELLAREACODE": "cellAreaCode",
    "CELLNUMBER": "cellNumber",
    "EMPLOYEEEMAIL": "employeeEmail",
    "EMPLOYEEID": "employeeId",
    "EMPLOYEECLASSIFICATION": "employeeClassification",
    "EMPLOYEEJOBTITLE": "employeeJobTitle",
    "EMPLOYMENTSTATUS": "employmentStatus",
    "MANAGERIDENTIFIER": "managerIdentifier",
    "QUALIFIERDESCRIPTION": "occupationQualifier",
    "EMPLOYEEWORKSITEID": "employeeWorkSiteId",
    "EMPLOYEEHOURSWORKEDPERWEEK": "employeeHoursWorkedPerWeek",
    "EMPLOYEEDAYSWORKEDPERWEEK": "employeeDaysWorkedPerWeek",
    "EMPLOYEEORGUNITNAME": "employeeOrgUnitName",
    "ORG_CUSTOMERNO": "",
    "ORG_NAME": "",
    "EMPLOYEENATIONALID": "employeeNationalID",
    "EMPLOYEEFIRSTNAME": "employeeFirstName",
    "EMPLOYEELASTNAME": "employeeLastName",
    "CUSTOMERNO": "",
}
"""Column of the file → column of the feed that its value comes from."""

COLUMNS = tuple(_FROM_FEED)
_DATES = ("EMPLOYEEDATEOFBIRTH", "EMPLOYEEDATEOFHIRE", "EMPLOYEEENDDATE")
_HOURS = ("EMPLOYEEHOURSWORKEDPERWEEK", "EMPLOYEEDAYSWORKEDPERWEEK")
_PENDING = """
SELECT occupation.fields, person.number, party.number, party.name
FROM occupation JOIN person USING (employee) JOIN party ON party.number = occupation.employer
WHERE exported = 0 ORDER BY person.number, party.number
"""


def export(state: Path, export_folder: Path) -> Path | None:
    """Replace the last file with the next one and return it. Return None and retain the last file if nothing is new."""
    store = SimulatorStore(state)
    try:
        with store.transaction():
            rows = store.db.execute(_PENDING).fetchall()
            if not rows:
                return None
            file = _write(export_folder, [_build_row(*row) for row in rows])
            store.db.execute("UPDATE occupation SET exported = 1 WHERE exported = 0")
        return file
    finally:
        store.close()


def _build_row(fields: str, person: int, employer: int, name: str) -> list[str]:
    feed: Mapping[str, str] = json.loads(fields)
    row = {column: feed.get(source, "") for column, source in _FROM_FEED.items()}
    row |= {"CUSTOMERNO": str(person), "ORG_CUSTOMERNO": str(employer), "ORG_NAME": name}
    row |= {column: _format_date(row[column]) for column in _DATES}
    row |= {column: "0" if row[column] in ("", "0.00") else row[column] for column in _HOURS}
    return list(row.values())


def _format_date(text: str) -> str:
    """Convert ``MM/DD/YYYY`` to ``YYYY-MM-DD HH:MM:SS``, and the null date to an empty text."""
    if not text or text == "01/01/1753":
        return ""
    month, day, year = text.split("/")
    return f"{year}-{month}-{day} 00:00:00"


def _write(folder: Path, rows: list[list[str]]) -> Path:
    """Write the new file and remove older ones. The folder never contains two."""
    folder.mkdir(parents=True, exist_ok=True)
    old = [file for file in folder.iterdir() if file.name.endswith(SUFFIX)]
    while (file := folder / f"{datetime.now(UTC):%Y-%m-%d-%H-%M-%S}{SUFFIX}") in old:
        time.sleep(0.05)  # Names contain whole seconds, and an equal name would hide that the file is new.
    temporary = folder / f".{file.name}.{os.getpid()}"
    with temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    for stale in old:
        stale.unlink()
    temporary.replace(file)
    return file
