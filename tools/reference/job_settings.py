"""The page about what the job runtime reads and writes: variables, exit codes, and the fields and events of the log."""

from __future__ import annotations

from collections.abc import Iterator

from nightferry import contract, overrides
from nightferry.catalog import checks
from nightferry.contract import ExitCode, LogEvent
from nightferry.job import JobSettings, logs
from tools.reference.docstrings import convert, read, read_class_constants, read_constants
from tools.reference.markdown import Section, page, sentence


def render() -> str:
    """Return the page."""
    return page(
        "Settings and log of a job",
        "What each job reads and writes besides its own settings: the variables of the runtime, exit codes, and the "
        "fields and events of log lines.",
        "the code of the job runtime",
        _sections(),
        [
            "[Settings](../settings.md): how to declare the settings of a job.",
            "[Logs](../logs.md): how to read and search the log.",
            "[Catalog](catalog.md): the declarations from which most of these variables come.",
        ],
    )


def _sections() -> Iterator[Section]:
    base = Section("The settings class")
    for paragraph in read(JobSettings).paragraphs:
        base.text(paragraph)
    base.text("A settings class may set these class variables:")
    described = read_class_constants(JobSettings)
    base.table(
        ("Class variable", "Default", "Meaning"),
        [(f"`{name}`", _default(name), sentence(text)) for name, text in described.items()],
    )
    yield base

    read_by_all = Section("Variables that a declaration may set")
    read_by_all.text(
        "The runtime reads these variables in each task, even if its settings class does not declare them."
    )
    read_by_all.table(
        ("Variable", "Meaning"), [(f"`{name}`", sentence(text)) for name, text in sorted(checks.RUNTIME.items())]
    )
    yield read_by_all

    supplied = Section("Variables that the platform supplies")
    supplied.text(
        "The engine or the deployment sets these variables. A declaration must not set them. The last column has those "
        "that a person may set for a run."
    )
    constants = read_constants(contract)
    names = {value: name for name, value in vars(contract).items() if name.endswith("_VARIABLE")}
    supplied.table(
        ("Variable", "By hand", "Meaning"),
        [
            (f"`{value}`", "yes" if value in overrides.PERSONAL_VARIABLES else "no", sentence(constants[names[value]]))
            for value in sorted(contract.SUPPLIED_VARIABLES)
        ],
    )
    yield supplied

    objects = Section("Values of an object and a schedule")
    objects.text(
        "A task that an object trigger or a schedule starts receives them as variables. A workflow receives them as "
        "members of its input."
    )
    objects.table(
        ("Variable", "Member of the input", "Supplied by", "Meaning"),
        [
            (
                f"`{variable}`",
                f"`{member}`",
                "object trigger" if member in contract.OBJECT_MEMBERS else "schedule, backfill",
                sentence(contract.INPUT_MEANINGS[member]),
            )
            for member, variable in contract.INPUT_VARIABLES.items()
        ],
    )
    yield objects

    codes = Section("Exit codes")
    meanings = read_class_constants(ExitCode)
    codes.table(
        ("Code", "Name", "Meaning"), [(f"{one.value}", f"`{one.name}`", meanings[one.name]) for one in ExitCode]
    )
    yield codes

    fields = Section("Fields of a log line")
    fields.text(
        "A job writes one JSON object per line. Each line has these fields, and those that the job passes in `extra`."
    )
    fields.table(("Field", "Meaning"), [(f"`{name}`", sentence(text)) for name, text in logs.FIELDS.items()])
    yield fields

    events = Section("Events of the log")
    events.text("A line with the field `event` is for programs.")
    texts = read_class_constants(LogEvent)
    rows = {one.value: ("yes", texts[one.name]) for one in LogEvent}
    rows |= {name: ("no", convert(text)) for name, text in logs.OTHER_EVENTS.items()}
    events.text(
        "Only the runtime writes the events that are marked in the second column. In a line of a job with such a "
        "value, the field is called `event_`."
    )
    events.table(("Event", "Reserved", "Meaning and fields"), [(f"`{name}`", *rows[name]) for name in sorted(rows)])
    yield events


def _default(name: str) -> str:
    value = getattr(JobSettings, name, None)
    if value is None:
        return "none"
    return f"`{value.value}`" if isinstance(value, contract.Privacy) else "empty" if not value else f"`{value!r}`"
