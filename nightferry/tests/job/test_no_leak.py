"""No personal data and no secret leaves a job: jobs put test values into each channel of output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MakeJob = Callable[..., Any]

SSN, DASHED, NAME, E_MAIL = "987654321", "987-65-4321", "Wolfeschlegel", "wolfe@example.org"
SECRET = "correct-horse battery/staple"
KEY_LINE = "lQOYBGVhY2sBCADKkZyxW7o0v5Y1oD0m2uHcVxXn3q3JX5r9sJ8Q2bZ8E0l1"
SENSITIVE_VALUES = (SSN, DASHED, NAME, E_MAIL, SECRET, KEY_LINE, "987.65", "4321")

CHANNELS = {
    "message": "log.info(f'for {ssn} {dashed} {mail} {secret} {key}')",
    "arguments": "log.info('for %s %s %(x)s' if False else 'for %s %s', ssn, {'last_name': name, 'ssn': ssn})",
    "number": "log.info('for %s', int(ssn), extra={'found': int(ssn)})",
    "extra": "log.info('x', extra={'last_name': name, 'deep': [{'fein': ssn, 'x': (dashed, {mail})}], 'json': record})",
    "exception argument": "log.info('failed: %s', ValueError(name, ssn))",
    "exception extra": "log.info('failed', extra={'cause': ValueError(name, ssn)})",
    "logged exception": "try:\n    raise ValueError(f'{name} {ssn}')\nexcept ValueError:\n    log.exception('failed')",
    "stack": "log.info('x', stack_info=True)",
    "uncaught": "raise ValueError(f'{name} {ssn} {secret}')",
    "uncaught chain": "try:\n    raise KeyError(name)\nexcept KeyError as e:\n    raise RuntimeError(ssn, name) from e",
    "uncaught context": "try:\n    raise KeyError(name)\nexcept KeyError:\n    raise RuntimeError(secret)",
    "uncaught group": "raise ExceptionGroup(name, [ValueError(ssn), TypeError(name)])",
    "note": "e = ValueError('x')\ne.add_note(name)\nraise e",
    "job failure": "raise JobFailed(f'bad: {dashed} {mail} last_name={name} {secret}')",
    "exit text": "sys.exit(f'bad {ssn} {mail} {secret}')",
    "print": "print(ssn, mail, secret, file=sys.stdout)",
    "stderr": "print(dashed, mail, secret, file=sys.stderr)",
    "part of a line": "sys.stdout.write('9876'); sys.stdout.write('54321\\n')",
    "stdout without line end": "sys.stdout.write(ssn)",
    "lone surrogate": "log.info('\\udc80 %s', ssn)",
    "warning": "import warnings\nwarnings.warn(f'{ssn} {mail}')",
    "thread": "t = threading.Thread(target=lambda: int(name))\nt.start(); t.join()",
    "finalizer": "class X:\n    def __del__(self): raise ValueError(name, ssn)\nX()",
    "json error": "import json\njson.loads('{' + name)",
    "decode error": "name.encode('utf-16').decode('ascii')",
    "missing file": "open(f'/nowhere/{ssn}/{secret}')",
    "missing key": "{}[name]",
    "missing attribute": "getattr(object(), 'x')",
    "bad template": "log.info('%d', name)",
    "library's logger": "get_logger('httpx').warning('GET https://x/?token=%s&ssn=%s', secret, ssn)",
    "polars": "import polars\npolars.Series('last_name', [name]).cast(polars.Int64)",
    "table": "import polars\nt = polars.DataFrame({'x': [name]})\nlog.info('%s', t, extra={'t': t})\nlog.info(t)",
    "pydantic": "Settings(process_id=name)",
    "lxml": "import lxml.etree\nlxml.etree.fromstring(f'<a>{name}</{name}>')",
    "progress": "run.progress(f'for {ssn} {secret}', 1, mail).done()",
    "faulthandler": "import faulthandler\nfaulthandler.dump_traceback()",
}
PREAMBLE = """
secret = settings.db_password.get_secret_value().splitlines()[0]
key = settings.db_password.get_secret_value().splitlines()[1]
ssn = os.environ['P1']; dashed = os.environ['P2']; name = os.environ['P3']; mail = os.environ['P4']
record = '{"first_name": "' + name + '", "ssn": "' + ssn + '"}'
"""


STRICT = {"NIGHTFERRY_PRIVACY": "strict"}

ENDING = [
    name for name, code in CHANNELS.items() if name.startswith(("uncaught", "note", "job failure", "exit", "stdout"))
]
"""Channels that end the process, so that each needs its own."""


def check_output(ended: Any) -> None:
    for line in [*ended.stdout.splitlines(), ended.stderr]:
        assert not any(value in line for value in SENSITIVE_VALUES), line
    assert ended.lines[-1]["event"] == "ended"  # every line is an object, and the process ended normally


def run_with_sensitive_values(job: MakeJob, body: str) -> Any:
    return job(PREAMBLE + body).run(
        DB_PASSWORD=f"{SECRET}\n{KEY_LINE}\nx", P1=SSN, P2=DASHED, P3=NAME, P4=E_MAIL, LOGGING_LEVEL="DEBUG", **STRICT
    )


@pytest.mark.sampled(2)
@pytest.mark.parametrize("channel", ENDING)
def test_nothing_leaks_through_the_end_of_a_job(job: MakeJob, channel: str) -> None:
    check_output(run_with_sensitive_values(job, CHANNELS[channel]))


def test_nothing_leaks_through_the_output_of_a_job(job: MakeJob) -> None:
    body = "".join(
        "try:\n" + "".join(f"    {line}\n" for line in code.splitlines()) + "except Exception as raised:\n"
        f"    log.error('channel %s ended', {name!r}, exc_info=raised)\n"
        f"else:\n    log.info('channel %s ended', {name!r})\n"
        for name, code in CHANNELS.items()
        if name not in ENDING
    )
    ended = run_with_sensitive_values(job, body)
    check_output(ended)
    assert ended.code == 0
    messages = {line["message"] for line in ended.lines}
    assert {f"channel {name} ended" for name in CHANNELS if name not in ENDING} <= messages


def test_nothing_leaks_through_the_command_line(job: MakeJob) -> None:
    ended = job("return").run(f"--folder-path=/x/{SSN}", f"--process-id={NAME}", DB_PASSWORD=SECRET, **STRICT)
    assert ended.code == 2
    assert not any(value in ended.stdout + ended.stderr for value in SENSITIVE_VALUES)


@pytest.mark.parametrize("variable", ["OTHER_PASSWORD", "SOME_API_KEY", "AWS_SESSION_TOKEN"])
def test_a_secret_variable_that_no_setting_reads_is_masked(job: MakeJob, variable: str) -> None:
    ended = job(f"log.info(os.environ['{variable}'])").run(**{variable: SECRET})
    assert "[redacted]" in [line["message"] for line in ended.lines][1]
    assert SECRET not in ended.stdout


def test_the_object_that_triggered_a_run_is_no_secret(job: MakeJob) -> None:
    ended = job("log.info('Object s3://agency/orders/received/ORDERS not found.')").run(S3_KEY="orders/received/ORDERS")
    assert [line["message"] for line in ended.lines][1] == "Object s3://agency/orders/received/ORDERS not found."


def test_nothing_leaks_through_invalid_arguments(job: MakeJob) -> None:
    ended = job("return").run(f"{DASHED}", f"--last-name={NAME}", DB_PASSWORD=SECRET, **STRICT)
    assert ended.code == 2
    assert not any(value in ended.stdout + ended.stderr for value in SENSITIVE_VALUES)
