"""The entry point of a container: a start changes nothing but what the task definition opens, in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nightferry.container import ENTRY_POINT, Refused, prepare
from nightferry.overrides import is_protected
from nightferry.terraform import synthesize
from nightferry.terraform.reading.inventory import build_inventory
from tests.terraform.example import make_catalog, make_environment

SECRET = "the passphrase of the key"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:example-test-nightly:one"
PLATFORM = {
    "PATH": os.environ["PATH"],
    "AWS_REGION": "us-east-1",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/8a1d",
    "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/8a1d-1",
}


@pytest.fixture(scope="module")
def container() -> dict[str, Any]:
    """Return the definition of the task ``load``, whose program prints its environment."""
    catalog = make_catalog()
    (found,) = build_inventory(synthesize(catalog, make_environment(catalog)), "test").containers["example-test-load"]
    rules = json.loads(found["entryPoint"][-1].replace("$${", "${"))
    variables = {one["name"]: one["value"].replace("$${", "${") for one in found["environment"]}
    return {"rules": {**rules, "program": ["env"]}, "environment": variables | {"KEY": SECRET}}


def start(container: dict[str, Any], *arguments: str, **override: str) -> subprocess.CompletedProcess[str]:
    """Start the container's entry point as ECS does with the overrides of RunTask."""
    command = [sys.executable, *ENTRY_POINT[1:], json.dumps(container["rules"]), *arguments]
    environment = {**PLATFORM, **container["environment"], **override}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def read(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_program_has_what_its_definition_declares(container: dict[str, Any]) -> None:
    ended = start(container, S3_KEY="in/a b", SFN_EXECUTION_ID=EXECUTION)
    assert ended.returncode == 0, ended.stderr
    found = read(ended.stdout)
    for name, value in container["environment"].items():
        assert found[name] == value
    assert (found["S3_KEY"], found["SFN_EXECUTION_ID"], found["AWS_REGION"]) == ("in/a b", EXECUTION, "us-east-1")
    assert found["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] == "/v2/credentials/8a1d"
    assert found["PATH"].startswith(str(Path(sys.prefix, "bin")))


def test_a_command_in_the_arguments_does_not_show_the_secrets(container: dict[str, Any]) -> None:
    """The attack: aws ecs run-task --overrides '{"containerOverrides": [{"command": ["sh", "-c", "printenv"]}]}'."""
    for arguments in (("sh", "-c", "printenv"), ("--folder-path=/x",), ("--db-username", "owner"), ("--", "printenv")):
        rules = {**container["rules"], "program": ["true"]}
        ended = start({**container, "rules": rules}, *arguments)
        assert SECRET not in ended.stdout + ended.stderr
    none = {**container["rules"], "args": "none"}
    ended = start({**container, "rules": none}, "sh", "-c", "printenv")
    assert (ended.returncode, ended.stdout) == (2, "")
    entry = json.loads(ended.stderr)
    assert (entry["level"], entry["task"], entry["event"]) == ("ERROR", "load", "bad_settings")
    assert entry["message"].startswith("Task 'load' accepts no arguments.")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "local"),
        ("NIGHTFERRY_OVERLAP", "allow"),
        ("NIGHTFERRY_TIME_LIMIT", "9999999"),
        ("NIGHTFERRY_LEASE", "s3://example/x"),
        ("NIGHTFERRY_TASK", "other"),
        ("FOLDER_PATH", "s3://elsewhere/in"),
        ("AWS_REGION", "eu-west-1"),
        ("SFN_EXECUTION_ID", "arn:aws:states:us-east-1:123456789012:execution:example-test-other:one"),
        ("SFN_EXECUTION_ID", f"x{EXECUTION}"),
        ("NIGHTFERRY_START_ID", "not a token"),
        ("ECS_CONTAINER_METADATA_URI_V4", "http://203.0.113.9/v4/x"),
        ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2@203.0.113.9/v4/x"),
        ("MODE", "UPPER"),
    ],
)
def test_a_changed_value_is_refused_without_showing_it(container: dict[str, Any], name: str, value: str) -> None:
    with pytest.raises(Refused) as refused:
        prepare(container["rules"], [], {**PLATFORM, **container["environment"], name: value})
    assert name in str(refused.value)
    assert value not in str(refused.value)
    for known in container["environment"].values():
        assert len(known) < 9 or known not in str(refused.value)


def test_the_process_of_a_changed_value_ends_with_the_code_of_bad_settings(container: dict[str, Any]) -> None:
    ended = start(container, ENVIRONMENT="local")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert json.loads(ended.stderr)["message"] == (
        "ENVIRONMENT differs from the task definition of 'load', and no start may change it. Remove the override."
    )


def test_variables_that_make_a_process_run_other_code_do_nothing(container: dict[str, Any], tmp_path: Path) -> None:
    """Each of these runs code in a Python process, a shell or a library that does not ignore it."""
    mark = tmp_path / "ran"
    script = tmp_path / "run.sh"
    script.write_text(f"#!/bin/sh\nenv > {mark}\n")
    script.chmod(0o755)
    for name in ("sitecustomize", "usercustomize", "nightferry", "json"):
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').write('ran')\n")
    attacks = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": str(tmp_path),
        "PYTHONSTARTUP": str(tmp_path / "json.py"),
        "PYTHONUSERBASE": str(tmp_path),
        "PYTHONINSPECT": "1",
        "PYTHONWARNINGS": "all:0:antigravity.x:0:0",
        "BROWSER": f"{script} #%s",
        "BASH_ENV": str(script),
        "ENV": str(script),
        "PYTHONBREAKPOINT": "os.system",
        "LD_LIBRARY_PATH": str(tmp_path),
        "HTTPS_PROXY": "http://203.0.113.9:3128",
        "https_proxy": "http://203.0.113.9:3128",
        "AWS_ENDPOINT_URL": "http://203.0.113.9",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://203.0.113.9",
        "AWS_PROFILE": "x",
        "PGHOST": "203.0.113.9",
        "PGSSLMODE": "disable",
        "SSL_CERT_FILE": str(script),
        "GNUPGHOME": str(tmp_path),
        "folder_path": "s3://elsewhere",  # the settings read names in any case
        "key_ssm_path": "/other",
        "KEY_SSM_PATH": "/other",
        "NIGHTFERRY_RESULTS": "s3://elsewhere",
        "NIGHTFERRY_RUN_ID": "one-that-exists",
        "NIGHTFERRY_STATE": str(tmp_path),
    }
    shell = {**container["rules"], "program": ["bash", "-c", "env"]}
    ended = start({**container, "rules": shell}, **attacks)
    assert ended.returncode == 0, ended.stderr
    assert not read(ended.stdout).keys() & attacks.keys()
    assert not mark.exists()


def test_a_program_that_is_not_in_the_image_is_reported(container: dict[str, Any]) -> None:
    ended = start({**container, "rules": {**container["rules"], "program": ["no-such-program"]}})
    assert ended.returncode == 2
    assert "Cannot start no-such-program: No such file or directory." in json.loads(ended.stderr)["message"]


@pytest.mark.parametrize(
    ("name", "protected"),
    [
        *((name, True) for name in ("ENVIRONMENT", "NIGHTFERRY_ANYTHING", "PYTHONPATH", "LD_PRELOAD", "PATH", "HOME")),
        *((name, True) for name in ("AWS_ENDPOINT_URL", "DB_HOST", "DB_USERNAME", "DB_CA_FILE", "PGHOSTADDR", "env")),
        *((name, True) for name in ("API_KEY_SSM_PATH", "https_proxy", "REQUESTS_CA_BUNDLE", "NEW_RELIC_EVENTS_URL")),
        *((name, False) for name in ("S3_KEY", "SINCE", "PGP_RECIPIENT", "PATHS", "ENVIRONMENTS", "LDAP_GROUP")),
        *((name, False) for name in ("AWARD", "DBASE", "HOMEPAGE", "NODE_COUNT", "LOGGING_LEVEL", "FROM_PATH")),
    ],
)
def test_the_names_that_no_start_may_set(name: str, protected: bool) -> None:
    assert is_protected(name) is protected
