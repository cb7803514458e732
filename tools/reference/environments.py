"""The page about the files of environments and the table ``[tool.nightferry]``, from the models that check them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nightferry.environments import environment, project
from nightferry.environments.aws_settings import AwsSettings
from nightferry.environments.cost_settings import CostSettings
from nightferry.environments.engine_settings import EngineSettings
from nightferry.environments.recipients import Recipients
from nightferry.presentation.task_settings import describe_limits
from tools.pages import make_anchor
from tools.reference.docstrings import convert, read
from tools.reference.markdown import Section, join_default, page, sentence, split_default

EXAMPLE = Path("examples/api-to-postgres/environments")
TABLES: Mapping[str, tuple[type[BaseModel], str]] = {
    "notices.TOPIC": (Recipients, "local and aws"),
    "engine": (EngineSettings, "local"),
    "costs": (CostSettings, "local and aws"),
    "aws": (AwsSettings, "aws"),
}
"""The models of the tables, and the backends that read them."""

_TYPES = {str: "text", int: "integer", float: "number", bool: "true or false"}


def render(root: Path) -> str:
    """Return the page. ``root`` is the repository, which contains the example."""
    return page(
        "Environment files",
        "Every key of a file `environments/NAME.toml`, and of the table `[tool.nightferry]` in `pyproject.toml`. An "
        "unknown key, a missing value and a wrong type are errors that name the file and the line. `nightferry "
        "new-environment NAME` writes a file with all keys.",
        "the models of the environments",
        _sections(root),
        [
            "[Settings of jobs](job-settings.md): the variables that a job reads.",
            "[Commands](commands.md#nightferry-new-environment): `new-environment`, `verify` and `synth`.",
            "[Catalog](catalog.md#setting): how a catalog declares a setting that an environment sets.",
        ],
    )


def _sections(root: Path) -> Iterator[Section]:
    example = Section("Example")
    for name in ("local", "test"):
        example.text(f"`environments/{name}.toml`:")
        example.code((root / EXAMPLE / f"{name}.toml").read_text(encoding="utf-8"), "toml")
    yield example
    top = Section("Keys of the file")
    top.table(("Key", "Type", "Meaning"), [_describe_key(key, text) for key, text in environment.KEYS.items()])
    yield top
    settings = Section("`[settings]`")
    settings.text(
        "A key for each setting that the catalog declares, with a text, a number, true or false. A setting whose name "
        "has a dot, such as `database.host`, is the key `host` of the table `[settings.database]`. A value of a local "
        "environment may refer to a service, such as `${service:database.host}`."
    )
    yield settings
    for table, (model, backends) in TABLES.items():
        yield from _describe_table(table, model, backends)
    tool = Section("`[tool.nightferry]` in pyproject.toml")
    tool.table(("Key", "Type", "Meaning"), [(f"`{key}`", "text", sentence(text)) for key, text in project.KEYS.items()])
    yield tool


def _describe_key(key: str, text: str) -> tuple[str, str, str]:
    forms = {"backend": ('`"local"` or `"aws"`', "required"), "production": ("true or false", "`false`")}
    table = "notices.TOPIC" if key == "notices" else key
    kind, default = forms.get(key, (f"table [`[{table}]`](#{make_anchor(table)})", "empty"))
    return f"`{key}`", join_default(kind, default), sentence(text)


def _describe_table(name: str, model: type[BaseModel], backends: str = "") -> Iterator[Section]:
    section = Section(f"`[{name}]`", 2 if backends else 3)
    described = read(model)
    section.text(f"{described.paragraphs[0]}{f' Backend: {backends}.' if backends else ''}")
    for paragraph in described.paragraphs[1:]:
        section.text(paragraph)
    inner = {key: found for key, field in model.model_fields.items() if (found := find_table(field.annotation))}
    section.table(
        ("Key", "Type", "Meaning"),
        [
            (
                f"`{key}`",
                join_default(
                    f"table {_link(name, key, inner[key])}" if key in inner else describe_type(field.annotation),
                    default or describe_default(field),
                ),
                " ".join(filter(None, (sentence(convert(text)), describe_rules(field)))),
            )
            for key, field in model.model_fields.items()
            for text, default in [split_default(field.description or "")]
        ],
    )
    yield section
    for key, (nested, named) in inner.items():
        yield from _describe_table(_name_table(name, key, named=named), nested)


def _link(name: str, key: str, found: tuple[type[BaseModel], bool]) -> str:
    title = f"`[{_name_table(name, key, named=found[1])}]`"
    return f"[{title}](#{make_anchor(title)})"


def _name_table(name: str, key: str, *, named: bool) -> str:
    """Return the name of a table in a table. With ``named``, there is one for each name."""
    return f"{name}.{key}{('.GROUP' if key == 'operators' else '.NAME') if named else ''}"


def find_table(annotation: Any) -> tuple[type[BaseModel], bool] | None:
    """Return the model of a table, and True if the key has a table for each name."""
    for kind in _list_kinds(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind, False
        if (
            get_origin(kind) is dict
            and isinstance(get_args(kind)[1], type)
            and issubclass(get_args(kind)[1], BaseModel)
        ):
            return get_args(kind)[1], True
    return None


def _list_kinds(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _list_kinds(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _list_kinds(part)]
    return [] if annotation is NoneType else [annotation]


def describe_type(annotation: Any) -> str:
    """Return the type of a key's values in words."""
    words = []
    for kind in _list_kinds(annotation):
        origin = get_origin(kind)
        if origin is Literal:
            words.append(" or ".join(f'`"{choice}"`' for choice in get_args(kind)))
        elif origin is tuple:
            words.append(f"list of {describe_type(get_args(kind)[0])}s")
        elif origin is dict:
            words.append(f"table of {describe_type(get_args(kind)[1])}s")
        else:
            words.append(_TYPES.get(kind, "text"))
    return " or ".join(words)


def describe_default(field: FieldInfo) -> str:
    """Return the default of a key as it is written in the file."""
    if field.is_required():
        return "required"
    match field.get_default(call_default_factory=True):
        case None:
            return "none"
        case bool() as value:
            return f"`{str(value).lower()}`"
        case str() as value:
            return f'`"{value}"`'
        case int() | float() as value:
            return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
    return "empty"


def describe_rules(field: FieldInfo) -> str:
    """Return the limits and the form of a key's values as a sentence."""
    limits = [text for text in describe_limits(field) if "of the form" not in text]
    forms = [pattern for pattern in _find_patterns(field) if pattern]
    return " ".join([*([sentence(", ".join(limits))] if limits else []), *(f"Form: `{form}`." for form in forms)])


def _find_patterns(field: FieldInfo) -> Iterator[str]:
    yield from (getattr(constraint, "pattern", "") or "" for constraint in field.metadata)
    yield from _find_inner_patterns(field.annotation)


def _find_inner_patterns(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            yield from (getattr(one, "pattern", "") or "" for one in (extra, *getattr(extra, "metadata", ())))
    if get_origin(annotation) in (Union, UnionType, tuple):
        for part in get_args(annotation):
            yield from _find_inner_patterns(part)
