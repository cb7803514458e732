"""Parsers of what the forms of the dashboard send, and the normalization of messages of failures."""

from __future__ import annotations

import json
from typing import Any

from nightferry.backend.request_checks import InvalidInput
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image
from nightferry.dashboard.forms import run_form, workflow_form
from nightferry.dashboard.forms.run_form import RunInput
from nightferry.errors import NightferryError
from nightferry.presentation.problems import normalized_messages
from nightferry.states.builder import Input, RunTask, Steps
from nightferry.testing.fuzzing import Parser, from_text

CATALOG = Catalog("shop", image=Image("shop"))
LOAD = CATALOG.task("load", command=["load"], accepts_args=True)
FLOW = CATALOG.workflow("flow", Steps(RunTask(LOAD, args=[Input("file")])))


def _read_input(text: str) -> Any:
    member = workflow_form.read_input(FLOW, RunInput({"member.file": text or "a"}))
    return member, workflow_form.read_input(FLOW, RunInput({"input": text, "member.file": "a"}))


PARSERS = [
    Parser(
        "input of a form",
        from_text(_read_input),
        lambda: [json.dumps(value).encode() for value in ({}, {"file": "b"}, [1, None], "text", 7)],
        (workflow_form.NotAnInput, InvalidInput),
        (workflow_form.read_input, workflow_form._load, workflow_form._load_member),
        weight=10,
    ),
    Parser(
        "arguments of a form",
        from_text(lambda text: run_form._split_arguments(RunInput.read({"args": [text]}))),
        lambda: [b"a b\r\n--c=d\n", b""],
        (NightferryError,),
        (run_form._split_arguments, RunInput),
        weight=5,
    ),
    Parser(
        "message of a failure",
        from_text(normalized_messages.normalize_message),
        lambda: [
            b"Row 17 of 's3://in/a.csv' at 2026-11-01T05:30:00Z: HTTP 503",
            b"run 0f3a4b5c6d7e8f90 (SQLSTATE 23505)",
        ],
        (),
        (normalized_messages,),
        weight=10,
    ),
]
