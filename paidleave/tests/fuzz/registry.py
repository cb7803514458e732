"""All parsers and readers of the jobs that take text or bytes from outside."""

from __future__ import annotations

from nightferry.testing.fuzzing import Parser
from tests.fuzz import dor_files, fineos_and_exchange, operator_tools

PARSERS: list[Parser] = [*dor_files.PARSERS, *fineos_and_exchange.PARSERS, *operator_tools.PARSERS]
