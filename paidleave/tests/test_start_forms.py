"""The dashboard's form of every task accepts and refuses what the command line does, in every environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightferry import Task
from nightferry.dashboard.forms.run_form import RunForm, Visibility
from nightferry.environments import Project
from nightferry.job.redaction import Redactor
from nightferry.testing.form_comparison import compare
from nightferry.testing.tiers import LONG
from paidleave.catalog import catalog

pytestmark = pytest.mark.sampled(3)

PROJECT = Project.find(Path(__file__).parents[1])


@pytest.mark.parametrize("task", catalog.tasks.values(), ids=lambda task: str(task.name))
def test_the_form_of_a_task_equals_the_command_line(task: Task) -> None:
    for name in ("local", "prod") if LONG else ("prod",):
        environment = PROJECT.environment(name)
        list(compare(catalog, task, environment))
        form = RunForm(catalog, task, environment, Visibility(Redactor(catalog.privacy)))
        names = {one.variable for one in form.settings}
        assert names <= task.overridable | {
            "LOGGING_LEVEL",
            "S3_BUCKET",
            "S3_KEY",
            "S3_VERSION",
            "S3_URI",
            "SCHEDULED_AT",
        }
        assert not names & {*catalog.secrets, *task.secrets}
        shown = " ".join(value for _, value in form.describe_fixed())
        assert "PASSWORD" not in shown
        assert {one.variable for one in form.secrets} >= {*catalog.secrets, *task.secrets}
