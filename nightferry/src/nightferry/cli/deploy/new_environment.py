"""``nightferry new-environment``: the first version of an environment's file, every key explained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated

import typer
from pydantic import BaseModel

from nightferry.catalog.catalog import Catalog
from nightferry.environments.aws_settings import AwsSettings
from nightferry.environments.environment import FOLDER
from nightferry.environments.project import Project
from nightferry.errors import NightferryError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# A comment, so that a value that nobody filled in is an error and no empty or invented value is ever deployed.
_REQUIRED = "  # required"
# Of the form that the schema wants, and nobody's.
_EXAMPLES = {
    "account": '"000000000000"',
    "region": '"us-east-1"',
    "cluster": '"{application}-{environment}"',
    "vpc": '"vpc-00000000"',
    "subnets": '["subnet-00000000", "subnet-11111111"]',
}
_TABLES = """
# Buckets that are not named {bucket_prefix}-{environment}-{name}, or whose notifications are ours. Keys: name,
# notifications ("ours" or "shared"), key (ARN of the KMS key of its objects).
# [aws.buckets.NAME]
# name = ""
# notifications = "shared"

# A log forwarder of our own, instead of log_forwarder. license_key: the parameter that holds New Relic's licence key.
# [aws.new_relic_forwarder]
# license_key = "common/newrelic-license-key"

# Topics that alarms go to, by severity.
# [aws.alarms]
# high = "arn:aws:sns:us-east-1:000000000000:pager"
# low = "arn:aws:sns:us-east-1:000000000000:mail"

# Further destinations of the tasks, beside 443 and the database.
# [aws.egress.NAME]
# cidr = "10.0.0.0/8"
# port = 22

# Where Terraform keeps its state; without this table, in a local file.
# [aws.state]
# bucket = ""
# region = "us-east-1"
"""
_TOLD_AS_TABLES = ("buckets", "alarms", "egress", "state", "new_relic_forwarder")


class EnvironmentExists(NightferryError):
    """The file is there already; nothing was written."""


class InvalidEnvironmentName(NightferryError):
    """A name that resources on AWS could not carry."""


def new_environment(name: Annotated[str, typer.Argument(help="Name, such as uat.")]) -> None:
    """Write environments/NAME.toml for an environment on AWS: every key explained, what is required to be filled in."""
    if not _NAME.fullmatch(name) or len(name) > 16:
        raise InvalidEnvironmentName(
            f"'{name}' cannot be the name of an environment: at most 16 lower-case letters, digits and single dashes, "
            "a letter first."
        )
    project = Project.find()
    file = project.root / FOLDER / f"{name}.toml"
    text = content(project.catalog, name)
    file.parent.mkdir(exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise EnvironmentExists(f"{FOLDER}/{name}.toml exists already and was not changed.") from None
    typer.echo(f"Wrote {FOLDER}/{name}.toml. Fill it in, then: nightferry synth --env {name}")


def content(catalog: Catalog, name: str) -> str:
    """The text of a new environment's file, made from the catalogue's settings and the schema of ``[aws]``."""
    lines = [
        f"# The environment {name} on AWS. docs/creating-environments.md says where each value is found.",
        "# Every key is a comment: without it, the value shown holds. Those marked as required must be filled in;",
        "# until then, nightferry synth names the next one that is missing.",
        'backend = "aws"',
        "",
        "[settings]",
    ]
    tables: dict[str, list[str]] = {}
    for key, setting in catalog.settings.items():
        table, _, short = key.rpartition(".")
        line = f'# {short} = ""{_REQUIRED}' if setting.default is None else f"# {short} = {json.dumps(setting.default)}"
        tables.setdefault(table, []).append(line)
    lines += tables.pop("", [])
    for table, members in tables.items():
        lines += ["", f"[settings.{table}]", *members]
    return "\n".join([*lines, "", "[aws]", *_aws_settings(catalog, name)]) + "\n" + _TABLES


def _aws_settings(catalog: Catalog, name: str) -> Iterator[str]:
    model: type[BaseModel] = AwsSettings
    for key, field in model.model_fields.items():
        if key in _TOLD_AS_TABLES:
            continue
        yield f"# {field.description}"
        if field.is_required():
            yield f"# {key} = {_EXAMPLES[key].format(application=catalog.name, environment=name)}{_REQUIRED}"
        else:
            yield f"# {key} = {_default(field.get_default(call_default_factory=True))}"


def _default(value: object) -> str:
    match value:
        case None:
            return '""'
        case dict():
            return "{}"
        case _:
            return json.dumps(value)
