"""``nightferry new-environment``: write the first version of an environment's file, with a description of every key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated

import typer
from pydantic import BaseModel

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import PostgresService
from nightferry.catalog.references import Reference
from nightferry.cli.terminal.streams import echo
from nightferry.environments.aws_settings import AwsSettings
from nightferry.environments.cost_settings import CostSettings
from nightferry.environments.engine_settings import EngineSettings
from nightferry.environments.environment import FOLDER
from nightferry.environments.project import Project
from nightferry.environments.recipients import Recipients
from nightferry.errors import NightferryError

_LOCAL = "local"  # the environment of commands without --env
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Required keys are comments too, so that a missing value is an error and no placeholder is ever deployed.
_REQUIRED = "  # required"
# The values match the schema but belong to no real account.
_EXAMPLES = {
    "account": '"000000000000"',
    "region": '"us-east-1"',
    "cluster": '"{application}-{environment}"',
    "vpc": '"vpc-00000000"',
    "subnets": '["subnet-00000000", "subnet-11111111"]',
}
_TABLES = """
# Buckets whose name is not {bucket_prefix}-{environment}-{name}, or whose notifications this deployment owns.
# Keys: name, notifications ("ours" or "shared"), key (ARN of the KMS key of its objects).
# [aws.buckets.NAME]
# name = ""
# notifications = "shared"

# A log forwarder of this deployment, instead of log_forwarder. license_key: the parameter with New Relic's license key.
# [aws.new_relic_forwarder]
# license_key = "common/newrelic-license-key"

# Topics for alarms, by severity: the ARNs of existing SNS topics, or names of the catalog's topics.
# [aws.alarms]
# high = "arn:aws:sns:us-east-1:000000000000:pager"
# low = "arn:aws:sns:us-east-1:000000000000:mail"
# runbook = "https://docs.example.org/on-call/"  # the page with a heading for each kind of alarm

# Network destinations of the tasks other than the database, and than port 443 unless https_anywhere = false.
# Keys: one of cidr, security_group (that of the VPC endpoints) and prefix_list (that of S3); port, which is 443.
# [aws.egress.NAME]
# cidr = "10.0.0.0/8"
# port = 22

# Who may start what by hand: a policy for each group of people, which synth writes. Without it, nobody may.
# [aws.operators.GROUP]
# tasks = []
# workflows = []

# The storage of Terraform's state. Without this table, the state is a local file.
# [aws.state]
# bucket = ""
# region = "us-east-1"
"""
_KEYS_IN_TABLES = ("buckets", "alarms", "egress", "operators", "state", "new_relic_forwarder")


class EnvironmentExists(NightferryError):
    """The file already exists. Nothing was written."""


class InvalidEnvironmentName(NightferryError):
    """The name is not usable in the names of AWS resources."""


def new_environment(
    name: Annotated[str, typer.Argument(help="Name of the new environment, such as local or uat.", metavar="NAME")],
) -> None:
    """Write environments/NAME.toml with a description of every key: for this machine (local) or AWS."""
    if not _NAME.fullmatch(name) or len(name) > 16:
        raise InvalidEnvironmentName(
            f"'{name}' is not a valid environment name. Use at most 16 lowercase letters, digits and single dashes, "
            "starting with a letter."
        )
    project = Project.find()
    file = project.root / FOLDER / f"{name}.toml"
    text = render_local_file(project.catalog) if name == _LOCAL else render_file(project.catalog, name)
    file.parent.mkdir(exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise EnvironmentExists(
            f"{FOLDER}/{name}.toml already exists and was not changed. Choose another name, or delete the file."
        ) from None
    command = "nightferry up" if name == _LOCAL else f"nightferry synth --env {name}"
    action = "Set the required keys, then run" if text.count(_REQUIRED) else "Now run"
    echo(f"Wrote {FOLDER}/{name}.toml. {action}: {command}")


def render_local_file(catalog: Catalog) -> str:
    """Return the text of ``local.toml``, from the catalog's settings and services and the schema of ``[engine]``."""
    lines = [
        "# This machine. Commands without --env use this environment. Each comment shows a key with its default.",
        'backend = "local"',
        "",
        *_render_settings(catalog),
        *_render_recipients(catalog),
    ]
    references = list(_list_references(catalog))
    if references:
        lines += ["", "# Addresses of the local services, which settings can refer to:", *references]
    lines += ["", "# Limits and retention of the local engine.", "[engine]"]
    for key, field in EngineSettings.model_fields.items():
        lines += [f"# {field.description}", f"# {key} = {_format_default(field.default)}"]
    lines += ["", *_render_costs()]
    return "\n".join(lines) + "\n"


def _list_references(catalog: Catalog) -> Iterator[str]:
    for name, service in catalog.services.items():
        keys = ("host", "port", "user", "database") if isinstance(service, PostgresService) else ("port", "url")
        yield "#   " + "  ".join(str(Reference("service", f"{name}.{key}")) for key in keys)


def render_file(catalog: Catalog, name: str) -> str:
    """Return the text of a new environment's file, from the catalog's settings and the schema of ``[aws]``."""
    lines = [
        f"# Environment {name} on AWS. nightferry verify --env {name} checks the values against the account.",
        "# Every key is commented out and shows its default. Uncomment and set the keys that are marked as required;",
        "# until then, nightferry synth reports the next missing key.",
        'backend = "aws"',
        "# If true, the dashboard only reads here, unless it is started with --actions.",
        "# production = false",
        "",
        *_render_settings(catalog),
        *_render_recipients(catalog),
    ]
    costs = "\n".join(_render_costs())
    return "\n".join([*lines, "", "[aws]", *_render_aws_keys(catalog, name)]) + f"\n{_TABLES}\n{costs}\n"


def _render_costs() -> Iterator[str]:
    yield "# Prices in U.S. dollars that replace those of nightferry costs: of other regions, or with discounts."
    yield "# [costs]"
    for key, field in CostSettings.model_fields.items():
        example = '"us-east-1"' if key == "region" else "0.0"
        yield f"# {key} = {example}  # {field.description}"


def _render_settings(catalog: Catalog) -> Iterator[str]:
    tables: dict[str, list[str]] = {"": []}
    for key, setting in catalog.settings.items():
        table, _, short = key.rpartition(".")
        line = f'# {short} = ""{_REQUIRED}' if setting.default is None else f"# {short} = {json.dumps(setting.default)}"
        tables.setdefault(table, []).append(line)
    yield from ("[settings]", *tables.pop(""))
    for table, members in tables.items():
        yield from ("", f"[settings.{table}]", *members)


def _render_recipients(catalog: Catalog) -> Iterator[str]:
    """Yield the recipients of each topic. A webhook is the name of a secret, because its URL must not be in a file."""
    for topic in catalog.topics:
        yield from ("", f"# The recipients of the notices of topic {topic}.", f"# [notices.{topic}]")
        for key, field in Recipients.model_fields.items():
            example = "[]" if key == "emails" else f'"notices/{key}-webhook"'
            yield f"# {key} = {example}  # {field.description}"


def _render_aws_keys(catalog: Catalog, name: str) -> Iterator[str]:
    model: type[BaseModel] = AwsSettings
    for key, field in model.model_fields.items():
        if key in _KEYS_IN_TABLES:
            continue
        yield f"# {field.description}"
        if field.is_required():
            yield f"# {key} = {_EXAMPLES[key].format(application=catalog.name, environment=name)}{_REQUIRED}"
        else:
            yield f"# {key} = {_format_default(field.get_default(call_default_factory=True))}"


def _format_default(value: object) -> str:
    match value:
        case None:
            return '""'
        case dict():
            return "{}"
        case _:
            return json.dumps(value)
