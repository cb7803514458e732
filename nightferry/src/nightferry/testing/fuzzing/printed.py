"""A plugin for pytest: print the tables of a fuzz at the end, also those of worker processes."""

from __future__ import annotations

from typing import Any

PROPERTY = "fuzz"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the tables that tests have recorded as the property ``fuzz``."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, text in report.user_properties:
                    if name == PROPERTY:
                        terminalreporter.write_line(str(text))
