"""The inputs of a run, as far as they may be shown: through redaction, and without the values of secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from nightferry.backend.runs import TaskRun
from nightferry.catalog.catalog import Catalog
from nightferry.contract import is_secret
from nightferry.job.redaction import MASK, Redactor

_OBJECT_VARIABLES = ("S3_BUCKET", "S3_KEY", "S3_VERSION")


def redact_run(catalog: Catalog, run: TaskRun) -> TaskRun:
    """Return the run with redacted arguments and variables."""
    task = catalog.tasks.get(run.task)
    secrets = set(catalog.secrets)
    if task is not None:
        fields = task.config.model_fields.items()
        secrets |= {*task.secrets, *(name.upper() for name, field in fields if is_secret(field.annotation))}
    redactor = Redactor(catalog.privacy)
    redactor.show_names(getattr(task.config, "shown_names", "") if task else "")
    redactor.add_secrets(run.env[name] for name in secrets & run.env.keys())
    return replace(
        run,
        args=tuple(redact_words(redactor, run.args)),
        env={name: MASK if name in secrets else redactor.redact_value(value, name) for name, value in run.env.items()},
    )


def redact_words(redactor: Redactor, words: Sequence[str]) -> Iterator[str]:
    """Yield the arguments. An option such as ``--password`` hides the next word."""
    before = ""
    for word in words:
        hidden = before.startswith("-") and "=" not in before and redactor.hides(before.lstrip("-"))
        yield MASK if hidden and not word.startswith("-") else redactor.redact_text(word)
        before = word


def format_object(run: TaskRun) -> str | None:
    """Return the address of the object that started a run, or None."""
    bucket, key, version = map(run.env.get, _OBJECT_VARIABLES)
    if bucket is None or key is None:
        return None
    return f"s3://{bucket}/{key}" + (f" (version {version})" if version else "")


def format_inputs(run: TaskRun) -> dict[str, str | None]:
    """Return the inputs of a redacted run for display, by their names; None for one that the run does not have."""
    return {
        "Arguments": " ".join(run.args) or None,
        "Object": format_object(run),
        "Variables": "\n".join(f"{name}={value}" for name, value in sorted(run.env.items())) or None,
        "Size": ", ".join(f"{unit} {value}" for unit, value in (("cpu", run.cpu), ("memory", run.memory)) if value),
    }


def describe_run(catalog: Catalog, run: TaskRun) -> dict[str, Any]:
    """Return a run as JSON, with its redacted inputs and the run that it repeats."""
    return {**asdict(redact_run(catalog, run)), "scheduled_at": run.scheduled_at, "repeats": run.repeats}
