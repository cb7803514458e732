"""The engine's log shows the IDs of runs and executions, which people need, and masks other long numbers."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from nightferry.contract import Privacy
from nightferry.local.monitoring.engine_log import FILE, NAME, write_engine_log


def test_ids_in_commands_and_fields_are_shown_and_other_numbers_are_not(tmp_path: Path) -> None:
    execution, run = "nightly-20261129T173320-26334929", "123456789012"
    with write_engine_log(tmp_path, logging.NullHandler(), privacy=Privacy.STRICT):
        logging.getLogger(NAME).error(
            "Workflow 'nightly' failed: 123456789 is invalid. See: nightferry status %s; nightferry logs %s",
            execution, run, extra={"event": "x", "id": execution},
        )  # fmt: skip
    line = json.loads((tmp_path / FILE).read_text())
    assert line["message"].endswith(f"See: nightferry status {execution}; nightferry logs {run}")
    assert "123456789 is invalid" not in line["message"]
    assert line["id"] == execution
