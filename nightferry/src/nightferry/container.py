"""The entry point of a task's container on AWS: it gives the program only what its task definition allows.

::

    python -I -m nightferry.container RULES [ARGUMENT …]

A person who may start a task may replace each of its environment variables and its arguments, but not its entry
point.
``RULES``, a part of the entry point, are therefore the only values that this module trusts: a JSON object with

- ``task``: the task's name;
- ``program``: the program and its own arguments;
- ``args``: the arguments that a start may add, :data:`nightferry.overrides.Arguments`;
- ``fixed``: the variables that no start may change, with their values;
- ``open``: the variables that a start may set, each with the pattern of its values;
- ``secrets``: the variables that ECS reads from the Parameter Store.

::

    variables of the container ─► fixed ones must be equal ─► open ones must match ─► all others are dropped ─► program

Python's option ``-I`` ignores its own variables, which could otherwise run code before this module. The program is
executed in this process with a new environment. A start that violates a rule ends with exit code 2 and a log line.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from nightferry.contract import ExitCode
from nightferry.overrides import find_argument_problem

ENTRY_POINT = ("python", "-I", "-m", "nightferry.container")
"""The words before the rules."""

# What ECS itself sets (ECS guide, "Amazon ECS environment variables"). The addresses are those of its agent.
_PLATFORM = {
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": r"/[\w/-]+",
    "AWS_EXECUTION_ENV": r"[\w.-]+",
    "ECS_AGENT_URI": r"http://169\.254\.170\.2/[\w./-]+",
    "ECS_CONTAINER_METADATA_URI": r"http://169\.254\.170\.2/[\w./-]+",
    "ECS_CONTAINER_METADATA_URI_V4": r"http://169\.254\.170\.2/[\w./-]+",
    "HOSTNAME": r"[\w.-]+",
}


class Refused(Exception):
    """The start violates the rules of its task definition. The message has no values, which may be secret."""


def main(arguments: Sequence[str]) -> NoReturn:
    """Start the program of the rules, the first argument, with the other arguments."""
    rules = json.loads(arguments[0])
    try:
        command, variables = prepare(rules, arguments[1:], os.environ)
        os.execvpe(command[0], command, variables)  # noqa: S606  # the program of the task definition
    except Refused as refused:
        _log(rules["task"], str(refused))
    except OSError as error:
        _log(rules["task"], f"Cannot start {command[0]}: {error.strerror}. Check that the image contains it.")
    raise SystemExit(int(ExitCode.BAD_SETTINGS))


def prepare(
    rules: Mapping[str, Any], arguments: Sequence[str], given: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Return the command and the variables of the program. Raises Refused."""
    task, opened = rules["task"], rules["open"]
    if problem := find_argument_problem(task, rules["args"], opened, arguments):
        raise Refused(problem)
    for name, value in rules["fixed"].items():
        if given.get(name, value) != value:
            raise Refused(
                f"{name} differs from the task definition of '{task}', and no start may change it. Remove the override."
            )
    variables = _get_base()
    for name, pattern in {**opened, **_PLATFORM, **dict.fromkeys(rules["secrets"], ".*")}.items():
        if name in given:
            if re.fullmatch(pattern, given[name], re.DOTALL) is None:
                raise Refused(f"The value of {name} is not one that a start of task '{task}' may have.")
            variables[name] = given[name]
    return [*rules["program"], *arguments], {**variables, **rules["fixed"]}


def _get_base() -> dict[str, str]:
    """Return the variables that every program needs, with constant values."""
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # the image has no such user
        home = "/tmp"  # noqa: S108  # the writable folder of a container
    return {
        "PATH": f"{Path(sys.prefix, 'bin')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": home,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _log(task: str, message: str) -> None:
    """Write a line as the job runtime does, so that the same alarms and pages show it."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = {"time": time, "level": "ERROR", "logger": "nightferry.container", "message": message, "task": task}
    sys.stderr.write(json.dumps({**entry, "event": "bad_settings"}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
