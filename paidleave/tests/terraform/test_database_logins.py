"""Every task can log in to the database of every environment, as its own users only."""

from __future__ import annotations

import pytest

from nightferry.environments.environment import Environment, parse
from nightferry.errors import EnvironmentFileError
from nightferry.terraform import synthesize
from nightferry.terraform.reading.inventory import build_inventory
from tests.terraform.test_golden import ENVIRONMENTS, PROJECT

# docs/creating-environments.md, "Database logins".
PASSWORDS = {"db-migrate-up", "db-migrate-down", "db-admin-create-db-users"}
TOKENS = {
    "execute-sql": ["pfml_impersonal", "pfml_readonly"],
    "paidleave-check": ["pfml_readonly"],
    "dor-import": ["pfml_jobs"],
    "dor-import-exempt": ["pfml_jobs"],
    "dor-create-pending-filing-submission": ["pfml_jobs"],
    "dor-pending-filing-response-import": ["pfml_jobs"],
    "load-employers-to-fineos": ["pfml_jobs"],
    "fineos-eligibility-feed-export": ["pfml_jobs"],
    "fineos-import-employee-updates": ["pfml_jobs"],
    "fineos-import-la-units": ["pfml_jobs"],
}
# The variables with which DatabaseSettings and ExecuteSqlSettings name the users.
USER_VARIABLES = ("DB_USERNAME", "DB_READONLY_USERNAME")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_each_task_may_log_in_as_the_users_in_its_container(name: str) -> None:
    environment = PROJECT.environment(name)
    listed = build_inventory(synthesize(PROJECT.catalog, environment), name)
    allowed, passwords, users = {}, set(), {}
    for task in PROJECT.catalog.tasks:
        (container,) = listed.containers[f"paid-leave-api-{name}-{task}"]
        variables = {item["name"]: item["value"] for item in container["environment"]}
        if "DB_HOST" not in variables:
            continue
        if "DB_PASSWORD" in {item["name"] for item in container.get("secrets", [])}:
            passwords.add(task)
        statements = listed.roles[f"paid-leave-api-{name}-{task}"]["statements"]
        if resources := [one["Resource"] for one in statements if one["Action"] == ["rds-db:connect"]]:
            prefix = (
                f"arn:aws:rds-db:us-east-1:{environment.aws.account}:dbuser:{environment.aws.database_resource_id}/"
            )
            allowed[task] = [arn.removeprefix(prefix) for arn in resources[0]]
            users[task] = sorted(variables[variable] for variable in USER_VARIABLES if variable in variables)
    assert passwords == PASSWORDS
    assert allowed == TOKENS == users


def test_a_task_connects_to_the_port_that_the_network_admits() -> None:
    text = PROJECT.environment("test").text
    admitted = text.replace("database_resource_id", "database_port = 6432\ndatabase_resource_id")
    with pytest.raises(EnvironmentFileError, match=r"test\.toml:\d+: .* admit port 6432 .* to port 5432 \(DB_PORT\)"):
        synthesize(PROJECT.catalog, make_environment(admitted))
    both = make_environment(admitted.replace("[settings.database]", "[settings.database]\nport = 6432"))
    containers = build_inventory(synthesize(PROJECT.catalog, both), "test").containers.values()
    ports = [item["value"] for (one,) in containers for item in one["environment"] if item["name"] == "DB_PORT"]
    assert ports == ["6432"] * len(TOKENS.keys() | PASSWORDS)


def make_environment(text: str) -> Environment:
    return parse("test", text, PROJECT.catalog, PROJECT.environment("test").file)
