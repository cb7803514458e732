"""``nightferry new-environment``: the file is valid once its required keys are set, and is never overwritten."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nightferry.cli.app import app
from nightferry.cli.create.new_environment import EnvironmentExists, InvalidEnvironmentName, render_file
from nightferry.environments.aws_settings import AwsSettings
from nightferry.environments.environment import parse
from nightferry.errors import EnvironmentFileError
from tests.local.toy import make_project
from tests.terraform.example import make_catalog


def test_every_key_is_described_and_the_file_is_valid() -> None:
    catalog = make_catalog()
    catalog.setting("database.host")
    text = render_file(catalog, "uat")
    for key in AwsSettings.model_fields:
        assert re.search(rf"^(# )?(\[aws\.)?{key}\b", text, re.MULTILINE), key
    for setting in catalog.settings:
        assert setting.rpartition(".")[2] in text
    filled = re.sub(r"^# (.*)  # required$", r"\1", text, flags=re.MULTILINE).replace('host = ""', 'host = "db"')
    environment = parse("uat", filled, catalog, Path("uat.toml"))
    assert environment.settings["database.host"] == "db"
    assert environment.aws is not None
    assert environment.aws.cluster == "example-uat"


def test_defaults_in_comments_equal_those_of_the_schema() -> None:
    text = render_file(make_catalog(), "uat").partition("# Buckets whose name is not")[0]
    document = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE))
    assert document["aws"]["database_port"] == AwsSettings.model_fields["database_port"].default
    assert document["aws"]["log_retention_days"] == AwsSettings.model_fields["log_retention_days"].default


def test_a_required_key_that_is_not_set_is_an_error() -> None:
    catalog = make_catalog()
    with pytest.raises(EnvironmentFileError, match=r"'aws\.account' is missing"):
        parse("uat", render_file(catalog, "uat"), catalog, Path("uat.toml"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_project(tmp_path / "toy")
    module = next(root.glob("toy_*.py"))
    module.write_text(module.read_text() + 'catalog.setting("database.host")\n')
    shutil.rmtree(root / "environments")
    monkeypatch.chdir(root)
    return root


def test_an_existing_file_is_not_overwritten(project: Path) -> None:
    file = project / "environments" / "uat.toml"
    assert CliRunner().invoke(app, ["new-environment", "uat"]).exit_code == 0
    assert '# host = ""  # required' in file.read_text()
    file.write_text("mine")
    result = CliRunner().invoke(app, ["new-environment", "uat"])
    assert isinstance(result.exception, EnvironmentExists)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["UAT", "../x", "a" * 17, "a--b"])
def test_a_name_that_aws_rejects_is_an_error(project: Path, name: str) -> None:
    result = CliRunner().invoke(app, ["new-environment", name])
    assert isinstance(result.exception, InvalidEnvironmentName)
    assert not (project / "environments").exists()
