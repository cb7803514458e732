"""Mistakes in a catalog or an environment file, with the message of each."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Secret
from nightferry.catalog.fargate import Size
from nightferry.errors import DeclarationError, EnvironmentFileError
from nightferry.states.builder import RunTask
from nightferry.terraform import synthesize
from tests.terraform.example import ENVIRONMENT, JobSettings, make_catalog, make_environment

FOLDER = {"FOLDER_PATH": "x"}


def task(catalog: Catalog, **changes: object) -> object:
    return catalog.task(**({"name": "more", "command": ["more"], "config": JobSettings, "env": FOLDER} | changes))  # type: ignore[arg-type]


CATALOG_CASES: list[tuple[str, Callable[[Catalog], object], str]] = [
    ("a size that Fargate lacks", lambda c: task(c, size=Size(1024, 16384)),
     "task 'more', declared in {place}: Fargate does not offer 1024 CPU units with 16384 MiB. "
     "1024 CPU units are available with 2048 to 8192 MiB in steps of 1024. For 16384 MiB, use"),
    ("too much scratch", lambda c: task(c, scratch=500),
     "task 'more', declared in {place}: scratch = 500 GiB: Fargate offers at most 200 GiB"),
    ("a required setting left out", lambda c: task(c, env={}),
     "task 'more', declared in {place}: JobSettings requires FOLDER_PATH. Add it to env"),
    ("a misspelled setting", lambda c: task(c, env={**FOLDER, "MOOD": "x"}),
     "task 'more', declared in {place}: JobSettings has no setting MOOD. Did you mean MODE?"),
    ("a secret in plain text", lambda c: task(c, env={**FOLDER, "KEY": "abc"}),
     "task 'more', declared in {place}: KEY is a secret and must not be in env"),
    ("a name that AWS rejects", lambda c: task(c, name="More_Work"),
     "task 'More_Work', declared in {place}: The name is not valid. Use at most 60 lowercase letters"),
    ("a name twice", lambda c: task(c, name="load"),
     "task 'load', declared in {place}: The name is already used in tests/terraform/example.py:"),
    ("a bucket that is not declared", lambda c: task(c, env={"FOLDER_PATH": "${bucket:outbox}/x"}),
     "task 'more', declared in {place}: It refers to bucket 'outbox', which this catalog does not declare. "
     "Declared: inbox."),
    ("a grant on another catalog's bucket",
     lambda c: task(c, grants=[Catalog("other", image=c.image).bucket("theirs").read("*")]),
     "task 'more', declared in {place}: It has a grant on bucket 'theirs', which this catalog does not declare."),
    ("a cron expression with two days",
     lambda c: c.schedule("more", c.tasks["load"], "cron(0 8 1 * MON *)"),
     "schedule 'more', declared in {place}: "),
    ("a rate with a wrong plural", lambda c: c.schedule("more", c.tasks["load"], "rate(1 hours)"),
     "schedule 'more', declared in {place}: "),
    ("a time zone that does not exist",
     lambda c: c.schedule("more", c.tasks["load"], "rate(1 hour)", timezone="US/Boston"),
     "schedule 'more', declared in {place}: Time zone 'US/Boston' not found. Use an IANA name"),
    ("a classic rule in local time",
     lambda c: c.schedule("more", c.tasks["load"], "rate(1 hour)", timezone="America/New_York", via="rule"),
     "schedule 'more', declared in {place}: A classic EventBridge rule supports only UTC, not America/New_York."),
    ("a classic rule that fires once",
     lambda c: c.schedule("more", c.tasks["load"], "at(2027-01-01T00:00:00)", via="rule"),
     "schedule 'more', declared in {place}: A classic EventBridge rule does not support at(…)."),
    ("arguments for a workflow",
     lambda c: c.schedule("more", c.workflows["nightly"], "rate(1 hour)", args=["x"]),
     "schedule 'more', declared in {place}: A workflow accepts neither args nor env"),
    ("two triggers for one object",
     lambda c: c.object_trigger("more", c.tasks["load"], bucket=c.buckets["inbox"], prefix="in/a_b"),
     "object trigger 'more', declared in {place}: An object could also match trigger 'on-file'"),
    ("a workflow that overrides a setting that a task lacks",
     lambda c: c.workflow("more", RunTask(c.tasks["load"], env={"MOOD": "x"})),
     "workflow 'more', task 'load', declared in {place}: JobSettings has no setting MOOD. Did you mean MODE?"),
    ("a secret for which the job has no setting", lambda c: task(c, secrets={"PASSWORD": Secret("p")}),
     "task 'more', declared in {place}: JobSettings has no setting PASSWORD."),
]  # fmt: skip

# (mistake, text in the file, replacement, message); {line} is the line of the replacement.
FILE_CASES: list[tuple[str, str, str, str]] = [
    ("an unknown table", "[aws.alarms]", "[awss.alarms]",
     "environments/test.toml:{line}: unknown key 'awss'. Did you mean 'aws'?"),
    ("an unknown key", 'cluster = "', 'clustre = "',
     "environments/test.toml:{line}: unknown key 'aws.clustre'. Did you mean 'cluster'?"),
    ("a missing key", 'region = "us-east-1"', "", "'aws.region' is missing."),
    ("a wrong account", '"123456789012"\nregion', '"12345"\nregion',
     "'aws.account' = '12345' is not valid. Account number"),
    ("a wrong VPC ID", "vpc-0123456789abcdef0", "0123456789abcdef0",
     "'aws.vpc' = '0123456789abcdef0' is not valid. ID of the VPC, such as vpc-"),
    ("a wrong subnet id", '"subnet-0123456789abcdef0"', '"sub-1"',
     "'aws.subnets.0' = 'sub-1' is not valid. Private subnets of the tasks, at least one."),
    ("a security group's name", '"sg-0123456789abcdef0"', '"database"',
     "'aws.database_security_group' = 'database' is not valid. Security group of the database, if there is one."),
    ("an invalid ARN", "arn:aws:lambda:us-east-1:123456789012:function:forwarder", "forwarder",
     "'aws.log_forwarder' = 'forwarder' is not valid. ARN of the Lambda function"),
    ("a retention that is shorter than that of dead letters", 'bucket_prefix = "org"',
     'bucket_prefix = "org"\nlog_retention_days = 7',
     "environments/test.toml:{line}: log_retention_days = 7 is too short for schedules and object triggers. "
     "A failed start can be repeated for 14 days"),
    ("a retention that CloudWatch lacks", 'bucket_prefix = "org"', 'bucket_prefix = "org"\nlog_retention_days = 100',
     "'aws.log_retention_days': CloudWatch Logs supports only these retention times: 1, 3, 5"),
    ("an invalid port", "port = 22", "port = 70000", "'aws.egress.partner-sftp.port': "),
    ("an invalid address range", "10.0.0.0/8", "10.0.0.0/40", "'aws.egress.partner-sftp.cidr': "),
    ("a destination without an address", 'cidr = "10.0.0.0/8"', "",
     "'aws.egress.partner-sftp': a destination has exactly one of cidr, security_group and prefix_list"),
    ("a destination with two addresses", 'cidr = "10.0.0.0/8"', 'cidr = "10.0.0.0/8"\nprefix_list = "pl-63a5400a"',
     "'aws.egress.partner-sftp': a destination has exactly one of cidr, security_group and prefix_list"),
    ("a prefix list's name", 'cidr = "10.0.0.0/8"', 'prefix_list = "s3"',
     "'aws.egress.partner-sftp.prefix_list' = 's3' is not valid."),
    ("no way to AWS", 'bucket_prefix = "org"', 'bucket_prefix = "org"\nhttps_anywhere = false',
     "environments/test.toml:{line}: https_anywhere = false, but no destination in aws.egress has port 443"),
    ("a destination that every environment has", "[aws.egress.partner-sftp]", "[aws.egress.https]",
     "environments/test.toml:{line}: 'aws.egress': reserved destination name: https"),
    ("a setting that the catalog lacks", "[settings]", "[settings]\nmoed = 1",
     "environments/test.toml:{line}: the catalog declares no setting 'moed'. Did you mean 'mode'?"),
    ("a setting that is a list", '"a ${literal} b"', "[1]",
     "environments/test.toml:{line}: setting 'mode' must be a string, a number, true or false"),
    ("a schedule that AWS rejects", "[settings]", '[settings]\nnightly = "cron(0 0 * * * *)"',
     "environments/test.toml:{line}: setting 'nightly': schedule 'nightly': cron(0 0 * * * *): exactly one"),
    ("a bucket shared with others", 'notifications = "ours"', "",
     "environments/test.toml:23: object trigger 'on-file'"),
    ("invalid TOML", "[settings]", "[settings", "environments/test.toml is not valid TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "declare", "message"), CATALOG_CASES, ids=[case[0] for case in CATALOG_CASES])
def test_a_mistake_in_the_catalog(mistake: str, declare: Callable[[Catalog], object], message: str) -> None:
    catalog = make_catalog()
    with pytest.raises(DeclarationError) as caught:
        declare(catalog)
    pattern = re.escape(message).replace(re.escape("{place}"), r"tests/terraform/test_mistakes\.py:\d+")
    assert re.match(pattern, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(("mistake", "old", "new", "message"), FILE_CASES, ids=[case[0] for case in FILE_CASES])
def test_a_mistake_in_an_environment(mistake: str, old: str, new: str, message: str) -> None:
    catalog = make_catalog()
    assert ENVIRONMENT.count(old) >= 1
    text = ENVIRONMENT.replace(old, new, 1)
    with pytest.raises(EnvironmentFileError) as caught:
        synthesize(catalog, make_environment(catalog, text))
    changed = [
        n for n, (a, b) in enumerate(zip(text.splitlines(), ENVIRONMENT.splitlines(), strict=False), 1) if a != b
    ]
    assert str(caught.value).startswith("environments/test.toml")
    assert message.format(line=changed[0]) in str(caught.value), str(caught.value)
