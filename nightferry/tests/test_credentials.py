"""Test secrets, tokens and roles against a fake AWS server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import Field, SecretStr

from nightferry import credentials, storage
from nightferry.credentials import CredentialsError, ParameterUnavailable
from nightferry.job import JobSettings


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Configure the environment for the fake AWS server and yield its address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    credentials.parameter.cache_clear()
    yield aws_server
    credentials.parameter.cache_clear()


def put_parameter(name: str, value: str) -> None:
    client = credentials.aws_session().client("ssm")
    client.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


class Settings(JobSettings):
    gpg_key: SecretStr = Field(description="A key")
    count: int = Field(default=1, description="A number")


def test_a_parameter_is_decrypted_and_read_once(aws: str) -> None:
    put_parameter("/service/x/key", "one")
    assert credentials.parameter("/service/x/key") == "one"
    put_parameter("/service/x/key", "two")
    assert credentials.parameter("/service/x/key") == "one"


def test_a_missing_parameter_is_reported(aws: str) -> None:
    with pytest.raises(ParameterUnavailable, match="/service/x/nothing: it does not exist"):
        credentials.parameter("/service/x/nothing")


def test_a_secret_setting_can_refer_to_a_parameter(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_parameter("/service/x/settings-key", "the key")
    monkeypatch.setenv("GPG_KEY_SSM_PATH", "/service/x/settings-key")
    assert Settings().gpg_key.get_secret_value() == "the key"  # type: ignore[call-arg]  # from the environment
    monkeypatch.setenv("GPG_KEY", "direct")
    assert Settings().gpg_key.get_secret_value() == "direct"  # type: ignore[call-arg]  # as above
    assert "direct" not in repr(Settings())  # type: ignore[call-arg]  # as above


def test_only_secret_settings_are_read_from_parameters(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPG_KEY", "x")
    monkeypatch.setenv("COUNT_SSM_PATH", "/service/x/nothing")
    assert Settings().count == 1  # type: ignore[call-arg]  # from the environment


def test_a_database_token_is_signed_for_host_and_user(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = credentials.database_token("db.example.org", 5432, "pfml")
    parts = urlsplit(f"https://{token}")
    query = parse_qs(parts.query)
    assert parts.netloc == "db.example.org:5432"
    assert (query["DBUser"], query["Action"], query["X-Amz-Expires"]) == (["pfml"], ["connect"], ["900"])
    assert query["X-Amz-Signature"]


@pytest.fixture
def no_credentials(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all credentials, as on a machine without a sign-in."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_a_database_token_requires_credentials(no_credentials: None) -> None:
    with pytest.raises(CredentialsError, match=r"pfml at db\.example\.org"):
        credentials.database_token("db.example.org", 5432, "pfml")


ROLE = "arn:aws:iam::123456789012:role/vendor"


def test_an_assumed_role_signs_its_requests(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTFERRY_TASK", "dor-import")
    session = credentials.aws_session(ROLE, "external")
    identity = session.client("sts").get_caller_identity()
    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/vendor/nightferry-dor-import"
    own = credentials.aws_session().client("sts").get_caller_identity()
    assert "assumed-role" not in own["Arn"]


def test_a_role_is_assumed_again_before_its_credentials_expire(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_ROLE_SECONDS", 900)  # the minimum; botocore refreshes 15 minutes before expiry
    session = credentials.aws_session(ROLE, "external")
    first = session.get_credentials()
    assert first is not None
    keys = {session.get_credentials().get_frozen_credentials().access_key for _ in range(3)}  # type: ignore[union-attr]  # not None, see above
    assert len(keys) == 3


def test_storage_uses_the_assumed_role(aws: str) -> None:
    credentials.aws_session().client("s3").create_bucket(Bucket="vendor")
    vendor = storage.session(role_arn=ROLE, external_id="external")
    with vendor.open_write("s3://vendor/x") as file:
        file.write(b"data")
    assert [found.name for found in vendor.list_objects("s3://vendor")] == ["x"]


def test_a_role_that_cannot_be_assumed_is_reported(no_credentials: None) -> None:
    with pytest.raises(CredentialsError, match=r"Cannot assume role .*role/vendor "):
        credentials.aws_session(ROLE, "external").client("s3").list_buckets()


def test_modules_for_jobs_do_not_import_boto3() -> None:
    code = "import sys, nightferry.job, nightferry.storage, nightferry.credentials; print('boto3' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
