"""The catalog's policy decides what is masked: secrets, or also personal data and the messages of exceptions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import Field, SecretStr

from nightferry.contract import PRIVACY_VARIABLE, SECRETS_VARIABLE, Privacy
from nightferry.field_names.secret_names import is_secret_name, is_secret_variable
from nightferry.job import JobSettings, Run, background_task, get_logger
from nightferry.job.redaction import Redactor
from nightferry.job.runtime import Runtime
from nightferry.testing import run_job

MakeJob = Callable[..., Any]

READABLE = [
    "loaded order 123456789",
    "order 123-45-6789 of jane.doe@example.org, call (617) 555-1234",
    "name=Smith last_name: O'Neil, price_cents=1999, account_number: 12345678901",
    '{"name": "Jane", "order_id": 123456789, "max_tokens": 4096}',
    "KeyError: 'price_cents'",
    "invalid literal for int() with base 10: 'abc'",
    'duplicate key value violates unique constraint "a"\nDETAIL:  Key (id)=(5) already exists.',
    "s3_key=orders/received/2026-11-29.csv sort_key=price cache_key=a:b",
    "MAX_TOKENS=4096, tokens: 17, token_limit=5, secret_name=api/token, password_file=/run/secrets/db",
    "see https://docs.example.org/webhooks and https://example.org/a?page=2",
    "run --show-secrets to list them; --password is required",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b, run 5c6ffbdd-40d9-556b-73a2-1e63c3e0e904",
    "GET http://db.internal:5432/x and http://[::1]:80/",
]
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA75+x\n-----END RSA PRIVATE KEY-----"
SECRET = [
    ("postgres://app:hunter2@db/orders", "hunter2"),
    ("postgres://app:hun/ter2@db:5432/orders", "hun/ter2"),
    ("https://jane:p@ss@example.org/", "p@ss"),
    ("Authorization: Bearer abc.def-123", "abc.def-123"),
    ("{'Authorization': 'Basic amFuZTpodW50ZXIy'}", "amFuZTpodW50ZXIy"),
    ("curl -H 'authorization: token abcdef1234'", "abcdef1234"),
    ("key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY used", "wJalrXUtnFEMI"),
    ("aws_secret_access_key = wJalrXUtnFEMI", "wJalrXUtnFEMI"),
    (f"key {KEY} end", "MIIEpAIBAAKCAQEA75"),
    (json.dumps({"key": KEY}), "MIIEpAIBAAKCAQEA75"),
    ("POST https://hooks.slack.com/services/T00000000/B00000000/XXXXYYYY", "XXXXYYYY"),
    ("POST https://acme.webhook.office.com/webhookb2/11-22@33/IncomingWebhook/ab/cd", "IncomingWebhook/ab"),
    ("POST https://discord.com/api/webhooks/123/abcdef", "abcdef"),
    ("POST https://prod-1.westus.logic.azure.com:443/workflows/ab12/triggers/manual?sig=Zx9", "Zx9"),
    ("GET https://a.blob.core.windows.net/b?sv=1&sig=Zx9%2B", "Zx9"),
    ("GET https://b.s3.amazonaws.com/k?X-Amz-Signature=abc123&X-Amz-Credential=def456", "abc123"),
    ("password=hunter2", "hunter2"),
    ('{"db_password": "hunter2", "n": 1}', "hunter2"),
    ("{'client_secret': 'hunter2'}", "hunter2"),
    ("DB_PASSWORD=hunter2 PGPASSWORD=hunter2 psql", "hunter2"),
    ("Command '['psql', '--password', 'hunter2']' returned 1", "hunter2"),
    ("mysql --password hunter2 orders", "hunter2"),
    ("mysql --password=hunter2 orders", "hunter2"),
    ("<password>hunter2</password>", "hunter2"),
    ("token ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefg"),
    ("SECRET_KEY=abcdef API_KEY: qwerty", "abcdef"),
    ("__token__=hunter2", "hunter2"),
    ("Authorization: Basic aHVudGVyMjp2YWx1ZQ==", "aHVudGVy"),
    ("send: b'POST / HTTP/1.1\\r\\nAuthorization: Basic aHVudGVyMjp2YWx1ZQ==\\r\\n'", "aHVudGVy"),
    ("headers={'X-Amz-Security-Token': b'FwoGZXIvYXdz//hunter2', 'n': 1}", "hunter2"),
    ("[(b'Set-Cookie', b'JSESSIONID=hunter2; Path=/'), (b'Age', b'5')]", "hunter2"),
    ("password=SecretBytes('hunter2')", "hunter2"),
    ('Response body:\nb\'{"SecretString":"{\\\\"password\\\\":\\\\"hunter2\\\\"}"}\'', "hunter2"),
    ('{"Parameter":{"Name":"/a/b","Type":"SecureString","Value":"hunter2"}}', "hunter2"),
]


@pytest.mark.parametrize("text", READABLE)
def test_ordinary_texts_are_readable_by_default(text: str) -> None:
    redactor = Redactor()
    assert redactor.privacy is Privacy.SECRETS_ONLY
    assert redactor.redact_text(text) == text


@pytest.mark.parametrize(("text", "secret"), SECRET)
@pytest.mark.parametrize("privacy", Privacy)
def test_secrets_are_masked_by_each_policy(text: str, secret: str, privacy: Privacy) -> None:
    assert secret in text.replace("\\n", "\n")
    assert secret not in Redactor(privacy).redact_text(text)


@pytest.mark.parametrize("text", READABLE[:3])
def test_strict_masks_personal_data(text: str) -> None:
    assert Redactor(Privacy.STRICT).redact_text(text) != text


WRITTEN_NAMES = (
    "O'Neil", "Mary \"May\" O'Neil", "Mary (May) O'Neil", "O'Neil, Mary", "O'NEIL, MARY-ANN", "Neil & Sons O'Neil",
    "Name('O'Neil')", "Name(first='Mary', last=\"O'Neil\")", "b\"O'Neil\"", "O'Neil, St. James",
)  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN_NAMES)
def test_strict_masks_the_whole_name_in_a_field(name: str) -> None:
    for sign in ("=", ": ", " => "):
        shown = Redactor(Privacy.STRICT).redact_text(f"row 5: last_name{sign}{name}, count=3 of 4")
        assert not [part for part in ("Neil", "NEIL", "Mary", "MARY", "May", "Sons", "James") if part in shown], shown
        assert shown.startswith("row 5: last_name")
        assert shown.endswith(", count=3 of 4"), shown


@pytest.mark.parametrize("privacy", Privacy)
def test_a_known_secret_is_masked_in_each_encoding(privacy: Privacy) -> None:
    redactor = Redactor(privacy)
    secret = 'pa"ss/wörd&\\x'
    redactor.add_secrets([secret, "12345678"])
    for text in (secret, json.dumps([secret]), json.dumps([secret], ensure_ascii=False), repr([secret])):
        assert "rd&" not in redactor.redact_text(f"a {text} b")
    for text in ("pa%22ss%2Fw%C3%B6rd%26%5Cx", "cGEic3Mvd8O2cmQmXHg="):
        assert text.rstrip("=") not in redactor.redact_text(f"x={text}")
    assert redactor.redact_value({"n": 12345678}) == {"n": "[redacted]"}


@pytest.mark.parametrize(
    "name",
    ["password", "DB_PASSWORD", "apiToken", "client_secret", "GPG_DECRYPTION_KEY", "API_KEY", "SECRET_KEY", "jwt"],
)
def test_the_name_is_that_of_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "name",
            "price_cents",
            "order_id",
            "S3_KEY",
            "SORT_KEY",
            "MAX_TOKENS",
            "key",
            "primary_key",
            "tokens_per_minute",
        ),
        *(
            "tokens_per_minute",
            "token_limit",
            "secret_name",
            "password_file",
            "token_url",
            "keyboard",
            "account_key",
            "tokenizer",
        ),
    ],
)
def test_the_name_is_not_that_of_a_secret(name: str) -> None:
    assert not is_secret_name(name)


RANDOM = "q8Zr2mXw0LkTn5Vb"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("SORT_KEY", "price_cents", False),
        ("SORT_KEY", RANDOM, False),
        ("S3_KEY", "orders/5c6ffbdd-40d9-556b.csv", False),
        ("MAX_TOKENS", "100000", False),
        ("PWD", "/home/jane/orders", False),
        ("USE_TOKEN", "enabled", False),
        ("STRIPE_KEY", RANDOM, True),
        ("STRIPE_KEY", "price_cents", False),
        ("DB_PASSWORD", "hunter2", True),
        ("AWS_SESSION_TOKEN", RANDOM, True),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/5c6ffbdd", True),
    ],
)
def test_the_value_of_a_variable_is_a_secret(variable: str, value: str, expected: bool) -> None:
    assert is_secret_variable(variable, value) is expected


class Settings(JobSettings):
    crm_login: SecretStr = Field(description="Login of the CRM")


class StrictSettings(Settings):
    privacy = Privacy.STRICT


def fail(settings: Settings, run: Run) -> None:
    del run
    print(f"login {settings.crm_login.get_secret_value()} of order 123456789")
    raise ValueError("order 123456789 has no name")


def run_failing(kind: type[Settings], **more: Any) -> tuple[str, str]:
    ended = run_job(background_task("load", kind)(fail), {"CRM_LOGIN": "jane/q8Zr2m"}, **more)
    assert ended.exit_code == 1
    return ended.lines[1]["message"], ended.lines[-2]["traceback"].splitlines()[-1]


def test_the_message_of_an_exception_is_shown_by_default() -> None:
    assert run_failing(Settings) == (
        "login [redacted] of order 123456789",
        "ValueError: order 123456789 has no name",
    )


@pytest.mark.parametrize(
    ("kind", "more"),
    [(Settings, {"privacy": "strict"}), (StrictSettings, {}), (StrictSettings, {"privacy": "secrets-only"})],
)
def test_the_message_of_an_exception_is_withheld_by_the_strict_policy(kind: type[Settings], more: Any) -> None:
    assert run_failing(kind, **more) == (
        "login [redacted] of order *********",
        "ValueError (message withheld because it may quote data)",
    )


def test_an_unknown_policy_is_strict_and_reported() -> None:
    runtime = Runtime.read("load", {PRIVACY_VARIABLE: "none"})
    assert runtime.privacy is Privacy.STRICT
    assert runtime.problems == ("NIGHTFERRY_PRIVACY must be strict or secrets-only",)


def test_the_policy_reaches_the_process_of_a_job(job: MakeJob) -> None:
    body = 'log.info(f"{os.environ[\'CRM\']} loaded order 123456789", extra={"name": "Ng"})'
    for privacy, order, name in (("secrets-only", "123456789", "Ng"), ("strict", "*********", "[redacted]")):
        ended = job(body).run(**{PRIVACY_VARIABLE: privacy, SECRETS_VARIABLE: "CRM,OTHER", "CRM": "jane/q8Zr2m"})
        (line,) = [line for line in ended.lines if "loaded" in line["message"]]
        assert line["message"] == f"[redacted] loaded order {order}"
        assert line["name"] == name


def test_the_settings_class_names_the_packages_that_log_at_info() -> None:
    class Logged(JobSettings):
        logged_packages = ("acme_common",)

    def log(settings: JobSettings, run: Run) -> None:
        del settings, run
        for name in ("acme_common.files", "acme_other"):
            get_logger(name).info("from %s", name)

    def list_messages(kind: type[JobSettings], **env: str) -> list[str]:
        lines = run_job(background_task("load", kind)(log), env).lines
        return [line["message"] for line in lines if line["message"].startswith("from ")]

    assert list_messages(JobSettings) == []
    assert list_messages(Logged) == ["from acme_common.files"]
    assert list_messages(Logged, LOGGING_LEVEL="acme_common=WARNING,acme_other=INFO") == ["from acme_other"]


def test_a_log_line_has_no_control_characters_and_the_same_values(job: MakeJob) -> None:
    ended = job('log.info("a\\x9b\\u202e\\u2028\\x7f\\udc80b", extra={"key": "\\u200bc"})').run()
    (line,) = [line for line in ended.stdout.splitlines() if "200b" in line]
    assert line.isprintable()
    assert json.loads(line)["message"] == "a\x9b\u202e\u2028\x7f\udc80b"
    assert json.loads(line)["key"] == "\u200bc"
