"""The header Retry-After, which two functions read alike, since each is a single file."""

from __future__ import annotations

import pytest

from nightferry.lambdas import chat_notice, newrelic_forwarder


@pytest.mark.parametrize("function", [chat_notice, newrelic_forwarder])
@pytest.mark.parametrize(
    ("text", "seconds"), [("20", 20.0), (" 5\t", 5.0), ("\x1f20", 20.0), ("²", None), ("1e3", None), ("soon", None)]
)
def test_seconds_are_read_without_what_surrounds_them(function: object, text: str, seconds: float | None) -> None:
    assert function._parse_retry_after(text) == seconds  # type: ignore[attr-defined]  # both modules have it
