"""Every module of the toolkit that parses has a fuzz, or a reason why it needs none."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import nightferry
from nightferry.testing.fuzzing.registration import find_covered_modules, find_parsing_modules

OWN_STORE = "reads what the engine itself has written to its store, whose file is fuzzed"
OWN_SOURCE = "reads the project's own source code"
OWN_FILES = "reads the files and schemas of the plan that this process has just synthesized, or that ship with it"
OWN_CACHE = "reads names that this account has kept, after the digest in their file was compared"
WITHOUT_FUZZ = {
    "nightferry.audit.journal": "reads the lines that this account has written to a private file",
    "nightferry.aws.runs.placement": "reads a parameter that the deployment writes; JSON in the form that it writes",
    "nightferry.aws.runs.repeats": "reads the name of a schedule that the retry function has created",
    "nightferry.aws.verify.secrets": "its URLs are the webhooks' whose parser is fuzzed in the function",
    "nightferry.catalog.main_function": OWN_SOURCE,
    "nightferry.catalog.result_type": OWN_SOURCE,
    "nightferry.cli.run.up_pages": "reads the address that the engine itself has written",
    "nightferry.costs.prices": "reads a file that ships with it; the prices of environment files are fuzzed there",
    "nightferry.cli.deploy.states": "its parsers of JSON and YAML are fuzzed",
    "nightferry.presentation.failures": "reads the endpoint in an error of botocore",
    "nightferry.dashboard.pages.catalog.setting_sources": "fuzzed through the files of environments",
    "nightferry.dashboard.server": "reads the options of a command line, by the standard library",
    "nightferry.dashboard.pages.actions.backfill": "the times of a backfill are fuzzed",
    "nightferry.dashboard.pages.problems": "reads two times by datetime.fromisoformat",
    "nightferry.environments.toml_text": "fuzzed through the files of environments and projects",
    "nightferry.cli.quick_completion": OWN_CACHE,
    "nightferry.cli.terminal.completion": OWN_CACHE,
    "nightferry.job.runtime": "reads the metadata of ECS in the task's own network",
    "nightferry.local.doctor": "reads the pyproject.toml that the project has already parsed",
    "nightferry.container": "reads the rules in the entry point, which nobody can override; its arguments are words",
    "nightferry.local.integrations.call": "reads the argument that the engine writes",
    "nightferry.local.integrations.executions": "reads the input that the interpreter has encoded",
    "nightferry.local.services.owners": OWN_STORE,
    "nightferry.local.store.actions": OWN_STORE,
    "nightferry.local.store.queries": OWN_STORE,
    "nightferry.local.store.lines": OWN_STORE,
    "nightferry.local.store.executions": OWN_STORE,
    "nightferry.local.store.runs": OWN_STORE,
    "nightferry.local.store.times": OWN_STORE,
    "nightferry.states.builder.expressions": "reads expressions that the builder renders",
    "nightferry.states.local_run": "fuzzed through the runs of state machines",
    "nightferry.states.machine.context": "reads a time that the interpreter has formatted",
    "nightferry.states.machine.history": OWN_STORE,
    "nightferry.terraform.deployers.policies": OWN_FILES,
    "nightferry.terraform.reading.expected": OWN_FILES,
}


def test_every_module_that_parses_has_a_fuzz_or_a_reason() -> None:
    covered = find_covered_modules(import_module("tests.fuzz.registry").PARSERS)
    found = {
        name
        for name in find_parsing_modules(Path(nightferry.__file__).parent)
        if not name.startswith(("nightferry.testing.", "nightferry.terraform.provider."))  # for tests; OWN_FILES
    }

    assert found - covered - WITHOUT_FUZZ.keys() == set(), "Add an entry to tests/fuzz, or the reason for none."
    assert WITHOUT_FUZZ.keys() <= found - covered, "Remove the reasons that are no longer needed."
