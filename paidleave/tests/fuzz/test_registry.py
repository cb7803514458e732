"""Every module of the jobs that parses has a fuzz, or a reason why it needs none."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import paidleave
from nightferry.testing.fuzzing.registration import find_covered_modules, find_parsing_modules

OWN_ROWS = "reads values that the jobs have written to the database"
SIMULATOR = "a part of the simulator behind its parser of requests, which is fuzzed; it runs for tests and demos only"
WITHOUT_FUZZ = {
    "paidleave.db.import_log": OWN_ROWS,
    "paidleave.db.locks": "hashes names of the program",
    "paidleave.db.migrations.versions.r0012_imports_of_files": OWN_ROWS,
    "paidleave.demo.arrivals": "reads the events of the demo's own engine",
    "paidleave.demo.summary": "reads the output of the demo's own engine",
    "paidleave.dor.generate.draws": "reads hashes that it computes",
    "paidleave.dor.importing.arrivals": "reads the times in names that Layout has matched, which is fuzzed",
    "paidleave.fineos.eligibility_feed.rows": "reads rows that the job's own statement has formatted",
    "paidleave.fineos.settings": "a validator of settings, which pydantic calls with parsed values",
    "paidleave.fineos.simulator.agreements": SIMULATOR,
    "paidleave.fineos.simulator.app": SIMULATOR,
    "paidleave.fineos.simulator.faults": SIMULATOR,
    "paidleave.fineos.simulator.message_schema": SIMULATOR,
    "paidleave.fineos.simulator.store": SIMULATOR,
    "paidleave.fineos.simulator.updates": SIMULATOR,
    "paidleave.operations.sftp.settings": "a validator of settings, which pydantic calls with parsed values",
}


def test_every_module_that_parses_has_a_fuzz_or_a_reason() -> None:
    covered = find_covered_modules(import_module("tests.fuzz.registry").PARSERS)
    found = find_parsing_modules(Path(paidleave.__file__).parent)

    assert found - covered - WITHOUT_FUZZ.keys() == set(), "Add an entry to tests/fuzz, or the reason for none."
    assert WITHOUT_FUZZ.keys() <= found - covered, "Remove the reasons that are no longer needed."
