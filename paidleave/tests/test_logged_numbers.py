"""The logs of jobs show ids of the Paid Leave database and mask other long numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys

JOB = """
import logging
from nightferry.job import background_task
from paidleave.db.settings import DatabaseSettings

@background_task("ids", DatabaseSettings)
def main(settings, run):
    fields = {"fineos_employer_id": 123456789, "account_key": "44100000001", "other": 123456789}
    logging.getLogger("paidleave.ids").info("numbers", extra=fields)

main()
"""


def test_a_job_shows_the_ids_of_employers_and_masks_other_numbers() -> None:
    environment = {"PATH": os.environ["PATH"], "ENVIRONMENT": "test", "LOGGING_LEVEL": "paidleave=INFO"}
    process = subprocess.run([sys.executable, "-c", JOB], env=environment, capture_output=True, text=True, check=True)
    (line,) = [line for line in map(json.loads, process.stdout.splitlines()) if line["message"] == "numbers"]
    assert line["fineos_employer_id"] == 123456789
    assert line["account_key"] == "44100000001"
    assert "123456789" not in str(line["other"])
