"""``nightferry synth`` warns of what a valid deployment lacks, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import BaseModel, SecretStr

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Secret
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.surprises import find_surprises
from tests.terraform.example import ENVIRONMENT, JobSettings, make_catalog, make_environment

STATE = '\n[aws.state]\nbucket = "states"\nregion = "us-east-1"\n'


class NoDatabase(BaseModel):
    """The settings of a job without a database."""

    key: SecretStr | None = None


class RequiresKey(BaseModel):
    """The settings of a job that cannot run without its secret."""

    key: SecretStr


def add(catalog: Catalog, config: type[BaseModel], **secrets: Secret) -> None:
    env = {"FOLDER_PATH": "x"} if config is JobSettings else {}
    catalog.task("extra", command=["extra"], config=config, env=env, secrets=secrets)


def remove(text: str, *beginnings: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith(beginnings))


def find(change: Callable[[Catalog], object], text: str) -> list[str]:
    catalog = make_catalog()
    change(catalog)
    return list(find_surprises(AwsResources(catalog, make_environment(catalog, text))))


def test_a_complete_environment_has_no_warning() -> None:
    assert find(lambda _: None, ENVIRONMENT + STATE) == []


@pytest.mark.parametrize(
    ("change", "text", "warning"),
    [
        (
            lambda _: None,
            ENVIRONMENT,
            "environments/test.toml:7: Terraform stores its state in a local file, which other machines do not have.",
        ),
        (
            lambda _: None,
            remove(ENVIRONMENT, "high =", "low =") + STATE,
            "environments/test.toml:7: no alarm notifies anybody, because the environment has no topic for alarms.",
        ),
        (
            lambda catalog: add(catalog, JobSettings, KEY=Secret("extra-key", optional=True)),
            ENVIRONMENT + STATE,
            "environments/test.toml:17: optional secrets are not listed, so these tasks start without them: "
            "extra-key (KEY): extra.",
        ),
        (
            lambda catalog: add(catalog, RequiresKey, KEY=Secret("extra-key", optional=True)),
            remove(ENVIRONMENT, "database_security_group") + STATE,
            "extra-key (KEY): extra (required, so it fails).",
        ),
        (
            lambda _: None,
            remove(ENVIRONMENT, "database_security_group") + STATE,
            "environments/test.toml:7: tasks with a database may connect only to port 443: load, report.",
        ),
        (
            lambda catalog: add(catalog, NoDatabase),
            ENVIRONMENT + STATE,
            "environments/test.toml:13: all tasks share one security group, so tasks without a database may also "
            "connect to it: extra.",
        ),
    ],
)
def test_a_surprise_is_reported(change: Callable[[Catalog], object], text: str, warning: str) -> None:
    assert [one for one in find(change, text) if warning in one], find(change, text)


@pytest.mark.parametrize(
    "change",
    [
        lambda catalog: add(catalog, JobSettings, DB_PASSWORD=Secret("db-password", optional=True)),  # a token instead
        lambda catalog: add(catalog, JobSettings, KEY=Secret("common/new-relic", optional=True)),  # listed
    ],
)
def test_what_works_is_not_reported(change: Callable[[Catalog], object]) -> None:
    assert find(change, ENVIRONMENT + STATE) == []
