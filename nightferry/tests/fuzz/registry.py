"""All parsers and readers of the toolkit that take text or bytes from outside."""

from __future__ import annotations

from nightferry.testing.fuzzing import Parser
from tests.fuzz import aws, configuration, engine, forms, functions, pages, state_machines, terraform_files

PARSERS: list[Parser] = [
    *state_machines.PARSERS,
    *configuration.PARSERS,
    *forms.PARSERS,
    *functions.PARSERS,
    *pages.PARSERS,
    *aws.PARSERS,
    *engine.PARSERS,
    *terraform_files.PARSERS,
]
