"""What a start may change of its task: the rules that every entry applies, here and in the container on AWS.

A person who may start a task on AWS may replace any environment variable and the arguments of its container. So the
rules apply again in the container, where :mod:`nightferry.container` reads them from the entry point, which a start
cannot replace. This module does no I/O, and imports only the standard library and :mod:`nightferry.contract`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from nightferry.contract import (
    ATTEMPT_VARIABLE,
    EXECUTION_VARIABLE,
    INPUT_VARIABLES,
    RESULTS_VARIABLE,
    SCHEDULE_VARIABLE,
    START_VARIABLE,
)

Arguments = Literal["none", "options", "any"]
"""The arguments that a start may add to a program: none, options of its overridable settings, or any."""

LEVEL_VARIABLE = "LOGGING_LEVEL"
"""The levels of the log, which every start may set."""

PERSONAL_VARIABLES = frozenset({LEVEL_VARIABLE, *INPUT_VARIABLES.values()} - {SCHEDULE_VARIABLE})
"""The variables that a person may set in every task: the log's levels, and what a trigger or a schedule supplies."""

STARTER_VARIABLES = PERSONAL_VARIABLES | {
    ATTEMPT_VARIABLE,
    EXECUTION_VARIABLE,
    RESULTS_VARIABLE,
    SCHEDULE_VARIABLE,
    START_VARIABLE,
}
"""The variables that schedules, triggers, workflows, retries and the commands set themselves."""

# Each of these makes a process load code or configuration, redirects its connections or its secrets, or turns off a
# guard of the runtime. Libraries read them without a declaration.
_PROTECTED = re.compile(
    r"""
    ENVIRONMENT | PATH | HOME | USER | LOGNAME | SHELL | SHELLOPTS | ENV | IFS | PS4 | CDPATH | TZ | TMPDIR | BROWSER
    | (NIGHTFERRY|SFN|AWS|ECS|LD|DYLD|GLIBC|MALLOC|BASH|GIT|XDG|OPENSSL|DB|DATABASE|POSTGRES|MYSQL|NEW_RELIC|NR)_\w+
    | PYTHON\w* | PERL5\w+ | RUBY(OPT|LIB) | NODE_(OPTIONS|PATH) | \w*JAVA_(TOOL_)?OPTIONS | CLASSPATH
    | PG(?!P)[A-Z]+ | KRB5\w+ | GNUPGHOME | GCONV_PATH | LOCPATH | NLSPATH | HOSTALIASES | LOCALDOMAIN | RES_OPTIONS
    | SSL_CERT_\w+ | SSLKEYLOGFILE | \w+_CA_BUNDLE | \w+_PROXY | \w+_SSM_PATH
    """,
    re.VERBOSE | re.IGNORECASE,
)


def is_protected(name: str) -> bool:
    """Return True if no start may set the variable, whatever a task declares."""
    return _PROTECTED.fullmatch(name) is not None


def find_variable_problems(task: str, overridable: Collection[str], names: Iterable[str]) -> Iterator[str]:
    """Yield why a start must not set each of these variables, of those that it must not set."""
    for name in names:
        if name in overridable:
            continue
        if is_protected(name):
            yield f"{name} cannot be set for a run of task '{task}': no start may change where or how a job runs."
        else:
            yield (
                f"{name} cannot be set for a run of task '{task}': its environment or its declaration fixes the value. "
                f"Change it there, or add overridable=[{name!r}] to the task."
            )


def find_argument_problem(
    task: str, accepts: Arguments, overridable: Collection[str], words: Iterable[object]
) -> str | None:
    """Return why a start must not add these arguments to the program of a task, or None.

    An argument that is not a text is computed when a workflow runs, and is checked then.
    """
    options = {name.lower() for name in overridable}
    for word in words:
        if accepts == "none":
            return f"Task '{task}' accepts no arguments. Remove them, or add accepts_args=True to the task."
        if accepts == "options" and isinstance(word, str) and word.startswith("--") and word != "--help":
            option = word.partition("=")[0]
            if option.removeprefix("--").replace("-", "_") not in options:
                return (
                    f"{option} is not an option that a start of task '{task}' may set: the task has no setting of "
                    f"this name, or its environment fixes the value. See: nightferry run {task} --help"
                )
    return None
