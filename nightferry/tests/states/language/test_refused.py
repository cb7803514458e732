"""Definitions that Step Functions rejects: one fixture for each rule, named after it, with the path of the mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightferry.states import InvalidDefinition, parse, validate
from nightferry.states.language.error_fields import PREDEFINED_ERRORS

FIXTURES = sorted(Path(__file__).with_name("refused").glob("*.json"))


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_refused(fixture: Path) -> None:
    content = json.loads(fixture.read_text(encoding="utf-8"))

    problems = validate(content["definition"])

    assert [problem.path for problem in problems] == [content["path"]]
    assert problems[0].message.endswith((".", "?"))
    with pytest.raises(InvalidDefinition) as refused:
        parse(content["definition"])
    assert str(problems[0]) in str(refused.value)


def test_all_mistakes_are_reported_together() -> None:
    definition = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Wait", "Seconds": -1, "Next": "B"},
            "B": {"Type": "Pass", "InputPath": "x", "End": True},
        },
    }

    assert [problem.path for problem in validate(definition)] == ["$.States.A.Seconds", "$.States.B.InputPath"]


def test_a_misspelled_field_suggests_the_right_one() -> None:
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "ResultPth": "$.a", "End": True}}}

    (problem,) = validate(definition)

    assert "ResultPath" in problem.message


def test_every_predefined_error_may_be_named() -> None:
    names = [*sorted(PREDEFINED_ERRORS - {"States.ALL"}), "States.Http.StatusCode.429"]
    retry = [{"ErrorEquals": [name]} for name in names] + [{"ErrorEquals": ["States.ALL"]}]
    state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Retry": retry, "End": True}

    assert validate({"StartAt": "A", "States": {"A": state}}) == []
