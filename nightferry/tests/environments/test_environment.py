"""Environment files: values of settings, and errors that name the line."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image, PostgresService
from nightferry.catalog.references import Reference, find_references, substitute
from nightferry.environments.engine_settings import EngineSettings
from nightferry.environments.environment import load, parse
from nightferry.errors import EnvironmentFileError


@pytest.fixture
def catalog() -> Catalog:
    catalog = Catalog("app", image=Image("app"))
    catalog.setting("database.host")
    catalog.setting("decrypt", default=True)
    catalog.setting("limit", default=5)
    catalog.service(PostgresService("database", database="app"))
    return catalog


class JobSettings(BaseModel):
    """A job."""

    decrypt: bool = False
    limit: int | None = None


LOCAL = 'backend = "local"\n[settings]\ndatabase.host = "h"\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('decrypt = "maybe"', "x.toml:4: setting 'decrypt': 'maybe' is not valid as DECRYPT of task 'load': Inp"),
        ('limit = "many"', "x.toml:4: setting 'limit': 'many' is not valid as LIMIT of task 'load'"),
        ('nightly = "cron(bad)"', "x.toml:4: setting 'nightly': schedule 'nightly': "),
        (
            'on = "perhaps"',
            "x.toml:4: setting 'on': enabled of schedule 'nightly' must be true or false, not 'perhaps'",
        ),
        ('other = "${service:databse.host}"', "x.toml:4: setting 'other': Service 'databse' not found. Did you mean"),
        ('other = "${service:database.hots}"', "Address of service 'database' 'hots' not found. Did you mean host?"),
    ],
)
def test_an_invalid_value_is_reported_with_its_line(catalog: Catalog, line: str, message: str) -> None:
    decrypt, limit = catalog.settings["decrypt"], catalog.settings["limit"]
    nightly, on = catalog.setting("nightly", default="rate(1 day)"), catalog.setting("on", default=True)
    catalog.setting("other", default="")
    load = catalog.task("load", command=["load"], config=JobSettings, env={"DECRYPT": decrypt, "LIMIT": limit})
    catalog.schedule("nightly", load, nightly, enabled=on)
    assert parse("x", LOCAL, catalog, Path("x.toml")).settings["limit"] == "5"
    assert parse("x", LOCAL + 'limit = ""\n', catalog, Path("x.toml")).settings["limit"] == "", (
        "an empty value is unset"
    )
    with pytest.raises(EnvironmentFileError) as caught:
        parse("x", LOCAL + line + "\n", catalog, Path("x.toml"))
    assert message in str(caught.value)


def test_the_file_overrides_defaults(catalog: Catalog) -> None:
    text = 'backend = "local"\n[settings]\nlimit = 7\n[settings.database]\nhost = "${service:database.host}"\n'
    environment = parse("local", text, catalog, Path("environments/local.toml"))
    assert environment.settings == {"database.host": "${service:database.host}", "decrypt": "true", "limit": "7"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('backend = "local"\n[setings]\n', "environments/x.toml:2: unknown key 'setings'. Did you mean 'settings'?"),
        ("\n", "environments/x.toml:1: the key 'backend' is missing"),
        ('\nbackend = "azure"\n', "environments/x.toml:2: backend = 'azure' is not valid"),
        ('backend = "aws"\n[settings]\nlimt = 7\n', "x.toml:3: the catalog declares no setting 'limt'. Did you mean"),
        ('backend = "aws"\n[settings]\nlimit = [7]\n', "x.toml:3: setting 'limit' must be a string, a number"),
        ('backend = "aws"\n[settings]\nlimit = 7\n', "x.toml:2: setting 'database.host' is missing"),
        ('backend = "aws\n', "x.toml is not valid TOML"),
    ],
)
def test_a_mistake_is_reported_with_its_line(catalog: Catalog, text: str, message: str) -> None:
    with pytest.raises(EnvironmentFileError) as caught:
        parse("x", text, catalog, Path("environments/x.toml"))
    assert message in str(caught.value)


def test_a_file_in_another_encoding_is_named(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "local.toml").write_bytes('backend = "local" # é'.encode("latin-1"))
    with pytest.raises(EnvironmentFileError, match=r"environments/local.toml is not valid TOML: .* Store the file as"):
        load("local", catalog, tmp_path)


def test_a_missing_environment_lists_the_available_ones(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "local.toml").write_text("")
    with pytest.raises(EnvironmentFileError, match="Available environments: local"):
        load("prod", catalog, tmp_path)


def test_references_are_substituted_in_nested_values() -> None:
    value = {"a": ["${bucket:inbox}/x", "${subnets}", "$${literal}"], "${task:b}": 1}
    assert find_references(value) == {Reference("bucket", "inbox"), Reference("subnets"), Reference("task", "b")}
    values = {"bucket": "s3://inbox", "subnets": ["s1", "s2"], "task": "B"}
    assert substitute(value, lambda reference: values[reference.kind]) == {
        "a": ["s3://inbox/x", ["s1", "s2"], "${literal}"],
        "B": 1,
    }


def test_an_engine_table_sets_limits_and_retention(catalog: Catalog) -> None:
    text = LOCAL + "[engine]\nconcurrency = 2\nkeep_days = 7\n"
    engine = parse("x", text, catalog, Path("x.toml")).engine
    assert (engine.concurrency, engine.retention, engine.log_retention) == (2, timedelta(days=7), timedelta(days=7))
    assert parse("x", LOCAL, catalog, Path("x.toml")).engine == EngineSettings()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("concurency = 2", "x.toml:5: unknown key 'engine.concurency'. Did you mean 'concurrency'? Keys of [engine]: "),
        ("concurrency = 0", "x.toml:5: 'engine.concurrency' = 0: Input should be greater than or equal to 1. Tasks"),
    ],
)
def test_a_mistake_in_the_engine_table_is_reported_with_its_line(catalog: Catalog, line: str, message: str) -> None:
    with pytest.raises(EnvironmentFileError, match=re.escape(message)):
        parse("x", f"{LOCAL}[engine]\n{line}\n", catalog, Path("x.toml"))


WEBHOOK = "https://hooks.slack.com/services/T0/B0/kq7Secret"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("failure]\nslack = 'a'", "x.toml:4: the catalog declares no topic 'failure'. Did you mean 'failures'?"),
        ("failures]", "x.toml:4: 'notices.failures' has no recipients. Set emails, slack or teams, or remove it."),
        ("failures]\nslak = 'a'", "x.toml:5: unknown key 'notices.failures.slak'. Did you mean 'slack'? Keys: emails,"),
        ("failures]\nemails = ['me']", "x.toml:5: 'notices.failures.emails.0' is not an e-mail address."),
        ("failures]\nemails = ['a@b.org', 'a@b.org']", "x.toml:5: 'notices.failures.emails': a@b.org is listed twice"),
        ("failures]\nteams = 7", "x.toml:5: 'notices.failures.teams': Input should be a valid string."),
        (f"failures]\nslack = '{WEBHOOK}'", "x.toml:5: 'notices.failures.slack': this is not the name of a secret."),
        (
            f"failures]\nteams = '{WEBHOOK[8:]}'",
            "x.toml:5: 'notices.failures.teams': this is not the name of a secret.",
        ),
        (f"failures]\nemails = ['{WEBHOOK}']", "x.toml:5: 'notices.failures.emails.0' is not an e-mail address."),
        (f"failures]\nslak = '{WEBHOOK}'", "x.toml:5: unknown key 'notices.failures.slak'"),
    ],
)
def test_a_mistake_in_the_recipients_names_the_key_and_no_url(catalog: Catalog, table: str, message: str) -> None:
    catalog.topic("failures")
    with pytest.raises(EnvironmentFileError) as error:
        parse("x", f"{LOCAL}[notices.{table}\n", catalog, Path("x.toml"))
    assert str(error.value).startswith(message)
    assert "Secret" not in str(error.value)


def test_recipients_are_declared_once_for_each_topic(catalog: Catalog) -> None:
    catalog.topic("failures")
    catalog.topic("other")
    text = f"{LOCAL}[notices.failures]\nemails = ['a@b.org']\nteams = 'notices/teams'\n"
    notices = parse("x", text, catalog, Path("x.toml")).notices
    assert notices.keys() == {"failures"}
    assert notices["failures"].emails == ("a@b.org",)
    assert list(notices["failures"].webhooks) == [("teams", "notices/teams")]
    with pytest.raises(EnvironmentFileError, match=r"x.toml:1: \[notices\] has a table for each topic"):
        parse("x", "notices = 3\n" + LOCAL, catalog, Path("x.toml"))


def test_alarms_can_have_a_declared_topic() -> None:
    catalog = Catalog("app", image=Image("app"))
    catalog.topic("failures")
    text = (
        'backend = "aws"\n[aws]\naccount = "123456789012"\nregion = "us-east-1"\ncluster = "c"\n'
        'vpc = "vpc-01234567"\nsubnets = ["subnet-01234567"]\n[aws.alarms]\n'
        'low = "failures"\nhigh = "arn:aws:sns:us-east-1:123456789012:pager"\n'
    )
    aws = parse("x", text, catalog, Path("x.toml")).aws
    assert aws is not None
    assert (aws.alarms.existing, aws.alarms.declared) == (
        ["arn:aws:sns:us-east-1:123456789012:pager"],
        {"low": "failures"},
    )
    for wrong, problem in (
        ("failure", "the catalog declares no topic 'failure'. Did you mean 'failures'?"),
        ("A b", ""),
    ):
        with pytest.raises(EnvironmentFileError, match=rf"x.toml:9: .*aws.alarms.low.*{problem}"):
            parse("x", text.replace('"failures"', f'"{wrong}"'), catalog, Path("x.toml"))


@pytest.mark.parametrize(
    ("line", "kind"), [("", "local"), ("production = false\n", "local"), ("production = true\n", "production")]
)
def test_an_environment_may_be_production(catalog: Catalog, line: str, kind: str) -> None:
    environment = parse("e", f"{line}{LOCAL}", catalog, Path("e.toml"))
    assert (environment.kind, environment.production) == (kind, kind == "production")


@pytest.mark.parametrize("value", ['"true"', "1", "[]"])
def test_production_is_true_or_false(catalog: Catalog, value: str) -> None:
    with pytest.raises(EnvironmentFileError, match=r"e\.toml:2: production must be true or false, not"):
        parse("e", f"# a comment\nproduction = {value}\n{LOCAL}", catalog, Path("e.toml"))
