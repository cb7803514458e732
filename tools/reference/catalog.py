"""The page about the catalog, from the signatures and docstrings of its methods and of the types that they use."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import nightferry
from nightferry import contract, errors
from nightferry.catalog import declarations, fargate, reports
from nightferry.catalog.catalog import Catalog
from nightferry.states.builder import values
from tools.reference.docstrings import convert, read, read_class_constants, read_constants
from tools.reference.markdown import Section, join_default, page, sentence, split_default

EXAMPLE = Path(__file__).with_name("example") / "acme" / "catalog.py"

METHODS: Sequence[Callable[..., Any]] = (
    Catalog,
    *(Catalog.task, Catalog.schedule, Catalog.object_trigger, Catalog.workflow, Catalog.setting, Catalog.bucket),
    *(Catalog.topic, Catalog.role, Catalog.service, Catalog.report, Catalog.function, Catalog.resource),
)
"""The catalog and its methods, in the order of the page."""

VALUES = (
    *("Size", "Secret", "Setting", "Image", "Bucket", "BucketPath", "Topic", "Role", "PostgresService"),
    *("CommandService", "Reason", "RejectedRecords", "Privacy"),
)
STEPS = ("Steps", "RunTask", "Parallel", "ForEach", "Choose", "When", "Wait", "Notify", "Retry")
RUN_VALUES = ("Input", "Output", "Item", "Format")
CHOICES: Mapping[str, ModuleType] = {
    "Overlap": contract,
    "Severity": declarations,
    "ByHand": declarations,
    "Via": declarations,
    "TriggerVia": declarations,
    "CatchUp": declarations,
    "Meaning": reports,
}
"""The types with a few fixed texts, and their modules."""


_INTERFACES = {
    "NamedTask": "Task",
    "NamedTopic": "Topic",
    "TaskStep": "RunTask",
    "Service": "PostgresService | CommandService",
}
"""The types that signatures have only for the layers of the code, with those that a catalog passes."""
_INTERFACE = re.compile(rf"\b({'|'.join(_INTERFACES)})\b")


GUIDES: Mapping[str, Sequence[str]] = {
    "Catalog": ["[Secrets and personal data](../secrets-and-personal-data.md)", "[Overlaps and leases](../leases.md)"],
    "task": ["[Writing a job](../jobs.md)", "[Settings](../settings.md)", "[Retries](../retries.md)"],
    "schedule": ["[Schedules and object triggers](../schedules-and-triggers.md)"],
    "object_trigger": ["[Object triggers](../schedules-and-triggers.md#object-triggers)"],
    "workflow": ["[Workflows](../workflows.md)"],
    "setting": ["[Settings of an environment](../settings.md#settings-of-an-environment)"],
    "bucket": ["[Storage](../storage.md)"],
    "topic": ["[Notices to people](../notifications.md)"],
    "service": ["[Databases](../databases.md)"],
    "report": ["[Reports](../jobs.md#reports)"],
    "function": ["[Amazon States Language](../states.md)"],
    "resource": ["[Amazon States Language](../states.md)"],
}
"""The pages that explain a method."""


def render() -> str:
    """Return the page."""
    return page(
        "Catalog",
        "Every parameter of `Catalog` and its methods, and the types that they use. A declaration that could not work "
        "is an error with its file and line, in every command. All names are in the module `nightferry`.",
        "the signatures and docstrings of the code",
        _sections(),
        [
            "[Writing a job](../jobs.md): the function and the settings class that a task runs.",
            "[Schedules and object triggers](../schedules-and-triggers.md): expressions, time zones and missed fires.",
            "[Workflows](../workflows.md): steps and their values, with a complete example.",
            "[Environment files](environments.md): the values of settings, and the resources on AWS.",
        ],
    )


def read_examples() -> dict[str, str]:
    """Return the parts of the example by their names."""
    parts = re.split(r"^# ── (\w+) ──\n", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _sections() -> Iterator[Section]:
    examples = read_examples()
    declared = Section("Declarations")
    declared.text(
        "A project has one `Catalog`. Each of its methods declares one thing, and returns it for use in others."
    )
    yield declared
    for method in METHODS:
        title = "Catalog" if method is Catalog else f"Catalog.{method.__name__}"
        section = Section(title, 3)
        _describe(section, method)
        section.code(examples[method.__name__])
        if guides := GUIDES.get(method.__name__):
            section.text(f"{'Guide' if len(guides) == 1 else 'Guides'}: {', '.join(guides)}")
        yield section
    choices = Section("Choices")
    choices.text("Some parameters accept one of a few texts.")
    choices.table(("Type", "Values", "Meaning"), [_describe_choice(name, module) for name, module in CHOICES.items()])
    yield choices
    yield Section("Values of declarations")
    for name in VALUES:
        section = Section(name, 3)
        _describe(section, getattr(nightferry, name))
        if name == "Size":
            _add_sizes(section)
        yield section
    steps = Section("Steps of workflows")
    steps.text(
        "The body of a workflow is one of these steps. The example of [Catalog.workflow](#catalogworkflow) has all of "
        "them."
    )
    yield steps
    for name in STEPS:
        section = Section(name, 3)
        _describe(section, getattr(nightferry, name))
        yield section
    known = Section("Values that are known when a workflow runs")
    known.text(
        "They are used in `env` and `args` of `RunTask`, as `items` of `ForEach`, in `message` of `Notify`, and in "
        "conditions."
    )
    yield known
    for name in RUN_VALUES:
        section = Section(name, 3)
        _describe(section, getattr(nightferry, name))
        yield section
    objects = Section("OBJECT_VARIABLES", 3)
    objects.text(read_constants(values)["OBJECT_VARIABLES"])
    yield objects
    conditions = Section("Conditions", 3)
    conditions.text(
        "The comparisons `==`, `!=`, `<`, `<=`, `>` and `>=` of a value create a condition, and so do its methods. "
        "Combine conditions with `&`, `|` and `~`, each comparison in parentheses."
    )
    _add_methods(conditions, nightferry.Value)
    yield conditions
    failures = Section("Errors")
    failures.text(f"All are subclasses of `DeclarationError`. {_text(errors.DeclarationError)}")
    kinds = sorted(errors.DeclarationError.__subclasses__(), key=lambda kind: kind.__name__)
    failures.table(
        ("Error", "Meaning"),
        [(f"`{kind.__name__}`", _text(kind)) for kind in kinds if kind.__module__ == errors.__name__],
    )
    yield failures


def _text(documented: object) -> str:
    return " ".join(read(documented).paragraphs)


def _describe(section: Section, documented: Any) -> None:
    """Add the description, the parameters and the methods of a class or method."""
    described = read(documented)
    for paragraph in described.paragraphs:
        section.text(paragraph)
    if documented is nightferry.Privacy:
        texts = read_class_constants(documented)
        section.table(("Value", "Meaning"), [(f"`{name}`", text) for name, text in texts.items()])
        return
    rows = [
        (f"`{name}`", join_default(_form(parameter), default or _default(parameter)), sentence(text))
        for name, parameter in list_parameters(documented)
        for text, default in [split_default(described.arguments.get(name.lstrip("*"), ""))]
    ]
    if any(row[2] for row in rows):
        section.table(("Parameter", "Type", "Meaning"), rows)
    if isinstance(documented, type) and documented.__name__ in VALUES:
        _add_methods(section, documented)
    if described.raises:
        section.text(" ".join(f"Raises `{name}` if {text}" for name, text in described.raises.items()))


def list_parameters(documented: Any) -> list[tuple[str, inspect.Parameter]]:
    """Return the parameters of a class or method, without ``self``. A star marks one that takes several arguments."""
    signature = inspect.signature(documented)
    stars: Mapping[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [
        (f"{stars.get(parameter.kind, '')}{name}", parameter)
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]


def _add_methods(section: Section, owner: type) -> None:
    methods = [
        (name, method)
        for name, method in vars(owner).items()
        if inspect.isfunction(method) and not name.startswith("_") and name not in ("describe", "find_problem")
    ]
    rows = []
    for name, method in methods:
        arguments = ", ".join(argument for argument, _ in list_parameters(method))
        rows.append((f"`.{name}({arguments})`", _text(method)))
    if owner is nightferry.Bucket:
        rows.append(('`/ "path"`', _text(declarations.BucketPath)))
    section.table(("Method", "Meaning"), rows)


def _form(parameter: inspect.Parameter) -> str:
    """Return the type of a parameter: links to choices, and no ``None``, which is visible as the default."""
    text = _INTERFACE.sub(lambda name: _INTERFACES[name[0]], str(parameter.annotation).replace(" | None", ""))
    if text in CHOICES:
        return f"[`{text}`](#choices)"
    if text in (*VALUES, *STEPS):
        return f"[`{text}`](#{text.lower()})"
    return "[`Body`](#steps-of-workflows)" if text == "Body" else f"`{text}`"


def _default(parameter: inspect.Parameter) -> str:
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        return "empty"
    match parameter.default:
        case inspect.Parameter.empty:
            return "required"
        case None:
            return "none"
        case () | "":
            return "empty"
        case nightferry.Privacy() as value:
            return f"`{value.name}`"
        case values.Required():
            return "none"
        case str() as value:
            return f'`"{value}"`'
        case value if value.__class__.__name__ == "timedelta":
            return f"{value.total_seconds() / 3600:g} h"
        case value if not isinstance(value, int | float | tuple):
            return "empty"
        case value:
            return f"`{value!r}`"


def _describe_choice(name: str, module: ModuleType) -> tuple[str, str, str]:
    texts = ", ".join(f'`"{choice}"`' for choice in get_args(getattr(module, name)))
    return f"`{name}`", texts, convert(read_constants(module)[name])


def _add_sizes(section: Section) -> None:
    section.table(
        ("cpu", "memory"),
        [(f"`{cpu}`", fargate.describe_memories(memories)) for cpu, memories in fargate.SIZES.items()],
    )
