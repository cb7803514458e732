"""Text of others controls neither the screen of ``nightferry up`` nor the page of the engine's health."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette

from nightferry.cli.run.up_screen import Screen
from nightferry.cli.terminal.output import Terminal
from nightferry.contract import Privacy
from nightferry.local.monitoring.engine_log import FILE, NAME, write_engine_log
from nightferry.local.monitoring.status_server import create_routes

ATTACK = "x\x1b]0;pwned\x07\x9b1m\u202e\u2028\u200b\r\n23:59:59 forged"


def test_a_message_above_the_screen() -> None:
    screen = io.StringIO()
    handler = Screen(Terminal(file=screen, width=200, force_terminal=True, color_system=None)).handler
    handler.emit(logging.makeLogRecord({"msg": "Task '%s' failed.", "args": (ATTACK,)}))
    first, second = screen.getvalue().rstrip("\n").split("\n")
    assert first.isprintable()
    assert "x\\u001b]0;pwned" in first
    assert second == "  23:59:59 forged' failed."


def get_health(problems: dict[str, str]) -> httpx.Response:
    async def find_problems() -> dict[str, str]:
        return problems

    app = Starlette(routes=create_routes(cast(Any, SimpleNamespace(find_problems=find_problems)), cast(Any, None)))

    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.get("http://engine/health")

    return asyncio.run(get())


def test_the_page_of_the_health() -> None:
    response = get_health({"triggers": ATTACK})
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/json"
    assert response.text.isprintable()
    assert json.loads(response.text)["problems"] == {"triggers": ATTACK}


def test_the_page_of_the_health_has_no_secrets_and_personal_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightferry.job.redaction.redactor.privacy", Privacy.STRICT)
    problems = {"service db": "Cannot read /in/123-45-6789.csv: password=hunter2 is wrong."}
    response = get_health(problems)
    assert "Cannot read /in/" in response.text
    assert "6789" not in response.text
    assert "hunter2" not in response.text


def test_the_lines_of_the_engines_log(tmp_path: Any) -> None:
    with write_engine_log(tmp_path, logging.NullHandler()):
        logging.getLogger(NAME).warning("Object '%s' is skipped.", ATTACK, extra={"id": ATTACK})
    (line,) = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    assert line.isprintable()
    assert json.loads(line)["id"] == ATTACK
