"""A log shows the type and the frames of an exception, and the message only of errors written for people."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from nightferry.contract import Privacy
from nightferry.job import JobFailed
from nightferry.job.redaction import describe_error, redactor
from nightferry.job.tracebacks import format_traceback


@pytest.fixture(autouse=True, scope="module")
def strict() -> Iterator[None]:
    with redactor.isolate():
        redactor.privacy = Privacy.STRICT
        yield


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs"]), min_size=6).map(lambda name: f"Qz{name}Zq")
KINDS = st.sampled_from(
    [ValueError, KeyError, RuntimeError, TypeError, LookupError, OSError, AssertionError, type("Own", (Exception,), {})]
)


def raise_and_catch(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


@given(kind=KINDS, name=NAMES, other=KINDS, link=st.sampled_from(["cause", "context", "group", "note", "none"]))
def test_no_value_of_an_unexpected_error_is_shown(
    kind: type[Exception], name: str, other: type[Exception], link: str
) -> None:
    inner = raise_and_catch(other(name, {"key": name}))
    match link:
        case "cause":
            error = raise_and_catch(kind(name), inner)
        case "group":
            error = raise_and_catch(ExceptionGroup(name, [other(name), kind(f"x {name}")]))
        case _:
            error = raise_and_catch(kind(name))
    if link == "context":
        error.__context__ = inner
    if link == "note":
        error.add_note(name)
    secret_local = name  # a local variable, which must not appear
    text = format_traceback(error) + describe_error(error)
    assert secret_local not in text
    assert error.__class__.__name__ in text
    assert "test_tracebacks.py" in text


def test_a_chain_is_shown_with_the_first_cause_first() -> None:
    text = format_traceback(raise_and_catch(RuntimeError("b"), raise_and_catch(ValueError("a"))))
    assert text.index("ValueError") < text.index("It caused:") < text.index("RuntimeError")


def test_a_job_failure_shows_its_message() -> None:
    assert describe_error(JobFailed("File x is empty.")) == "nightferry.job.errors.JobFailed: File x is empty."
    assert "999000000" not in describe_error(JobFailed("ssn 999000000"))


class Model(BaseModel):
    wages: int


def caught(kind: type[Exception], action: object) -> Exception:
    assert callable(action)
    with pytest.raises(kind) as info:
        action()
    return info.value


FACTS = [
    (
        FileNotFoundError(2, "secret text", "/folder/file"),
        "FileNotFoundError: No such file or directory (/folder/file)",
    ),
    (ConnectionRefusedError(111, "secret text"), "ConnectionRefusedError: Connection refused"),
    (caught(AttributeError, lambda: object().color), "AttributeError: no attribute color"),  # type: ignore[attr-defined]  # must raise
    (caught(ModuleNotFoundError, lambda: __import__("nosuch")), "ModuleNotFoundError: no module nosuch"),
    (caught(UnicodeDecodeError, lambda: b"ab\xff".decode()), "UnicodeDecodeError: utf-8 at byte 2: invalid start byte"),
    (
        caught(json.JSONDecodeError, lambda: json.loads("[Smith")),
        "json.decoder.JSONDecodeError: Expecting value at line 1, column 2",
    ),
    (
        caught(ValidationError, lambda: Model(wages="Smith")),  # type: ignore[arg-type]  # must raise
        "pydantic_core._pydantic_core.ValidationError: wages: int_parsing",
    ),
    (
        ClientError({"Error": {"Code": "AccessDenied", "Message": "user Smith"}}, "GetObject"),
        "botocore.exceptions.ClientError: AccessDenied in GetObject",
    ),
    (
        httpx.HTTPStatusError(
            "x", request=httpx.Request("GET", "https://u:p@h/path?token=Smith"), response=httpx.Response(503)
        ),
        "httpx.HTTPStatusError: 503 of GET https://h/path",
    ),
    (ValueError("Smith"), "ValueError (message withheld because it may quote data)"),
    (ValueError(), "ValueError"),
]


@pytest.mark.parametrize(("error", "shown"), FACTS, ids=lambda value: type(value).__name__)
def test_an_error_shows_facts_without_data(error: Exception, shown: str) -> None:
    assert describe_error(error) == shown


def test_the_traceback_of_endless_recursion_is_shortened() -> None:
    def recurse(depth: int) -> int:
        return recurse(depth + 1)

    text = format_traceback(caught(RecursionError, lambda: recurse(0)))
    assert len(text.splitlines()) < 60
    assert "frames" in text
