"""What a person with ecs:RunTask can change of a task in production: the rules of each synthesized entry point."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nightferry.container import ENTRY_POINT, Refused, prepare
from nightferry.environments.project import Project
from nightferry.overrides import STARTER_VARIABLES, is_protected
from nightferry.terraform import synthesize
from nightferry.terraform.reading.inventory import build_inventory

PROJECT = Project.find(Path(__file__).parent)
SECRETS = {"GPG_DECRYPTION_KEY": "the key of DOR", "GPG_DECRYPTION_KEY_PASSPHRASE": "its passphrase"}
# Guards, and destinations to which a job sends secrets or personal data.
GUARDS = {
    "ALLOWED": "true",
    "DECRYPT": "false",
    "DB_CA_FILE": "/tmp/ca.pem",
    "DB_HOST": "db.attacker.example",
    "DB_USERNAME": "root",
    "ENVIRONMENT": "local",
    "FINEOS_AWS_IAM_ROLE_ARN": "arn:aws:iam::999999999999:role/other",
    "FINEOS_CLIENT_OAUTH2_URL": "https://login.attacker.example",
    "FINEOS_CLIENT_WSCOMPOSER_API_URL": "https://api.attacker.example",
    "FOLDER_PATH": "s3://attacker/in",
    "NEW_RELIC_ACCOUNT_ID": "1",
    "NIGHTFERRY_OVERLAP": "never",
    "NIGHTFERRY_PRIVACY": "secrets-only",
    "NIGHTFERRY_SECRETS": "",
    "NIGHTFERRY_TIME_LIMIT": "999999",
    "OUTPUT_DIRECTORY_PATH": "s3://attacker/out",
    "SFTP_HOST_KEY": "ssh-ed25519 AAAA",
    "SFTP_URI": "sftp://attacker.example",
}


@pytest.fixture(scope="module")
def containers() -> dict[str, dict[str, Any]]:
    """Return the container of each task in production."""
    files = synthesize(PROJECT.catalog, PROJECT.environment("prod"))
    found = build_inventory(files, "prod").containers.values()
    return {container["name"]: container for (container,) in found}


def read_rules(container: dict[str, Any]) -> dict[str, Any]:
    *entry_point, rules = container["entryPoint"]
    assert tuple(entry_point) == ENTRY_POINT
    found: dict[str, Any] = json.loads(rules)
    return found


def read_variables(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["environment"]} | SECRETS


def test_no_start_sets_a_guard_or_a_destination(containers: dict[str, dict[str, Any]]) -> None:
    assert containers.keys() == PROJECT.catalog.tasks.keys()
    for name, container in containers.items():
        rules = read_rules(container)
        assert rules["args"] == "options", name
        assert rules["program"] == [name]
        assert "command" not in container
        secrets = {one["name"] for one in container.get("secrets", [])}
        assert not rules["open"].keys() & {*secrets, *GUARDS}, name
        assert not {one for one in rules["open"].keys() - STARTER_VARIABLES if is_protected(one)}
        for guard, value in GUARDS.items():
            changed = {**read_variables(container), guard: value}
            if guard in rules["fixed"]:
                with pytest.raises(Refused, match=f"^{guard} differs from the task definition"):
                    prepare(rules, [], changed)
            else:
                assert guard not in prepare(rules, [], changed)[1], name
            option = f"--{guard.lower().replace('_', '-')}={value}"
            with pytest.raises(Refused, match="is not an option that a start"):
                prepare(rules, [option], read_variables(container))


def test_a_command_does_not_show_the_keys_of_the_import(containers: dict[str, dict[str, Any]]) -> None:
    """The attack: run-ecs-task prod dor-import you sh -c printenv, which the old command replaced the program with."""
    container = containers["dor-import"]
    command = [sys.executable, *container["entryPoint"][1:], "sh", "-c", "printenv"]
    ended = subprocess.run(
        command, env=read_variables(container), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "unrecognized arguments" in ended.stdout + ended.stderr
    for value in SECRETS.values():
        assert value not in ended.stdout + ended.stderr


def test_a_replay_by_hand_is_possible(containers: dict[str, dict[str, Any]]) -> None:
    rules = read_rules(containers["dor-import"])
    start = {**read_variables(containers["dor-import"]), "REPLAY": "DORDFML_20260107200000"}
    command, variables = prepare(rules, ["--allow-older-files"], start)
    assert command == ["dor-import", "--allow-older-files"]
    assert (variables["REPLAY"], variables["ENVIRONMENT"]) == ("DORDFML_20260107200000", "prod")


def test_nobody_migrates_the_database_by_hand() -> None:
    settings = PROJECT.environment("prod").aws
    assert settings is not None
    allowed = {task for group in settings.operators.values() for task in group.tasks}
    assert not allowed & {"db-migrate-up", "db-migrate-down", "db-admin-create-db-users", "dor-generate"}
