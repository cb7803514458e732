"""The types of the arguments of a catalog's methods. An argument of one name has the same type in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from nightferry.arguments import check_type, check_variables, describe
from nightferry.catalog.declarations import (
    Bucket,
    BucketPath,
    Grant,
    Image,
    Secret,
    Service,
    Setting,
    Task,
    Workflow,
)
from nightferry.catalog.fargate import Size
from nightferry.catalog.reports import Reason, RejectedRecords
from nightferry.errors import InvalidArgument

_TYPES: dict[str, tuple[Any, str]] = {
    "accepts_args": ((bool, type(None)), "True or False"),
    "actions": (Sequence, 'a list of actions, as in ["sqs:SendMessage"]'),
    "args": (Sequence, 'a list of words, as in ["--all"]'),
    "arn": (Setting, 'catalog.setting("arn")'),
    "bucket": (Bucket, 'the bucket, as in files = catalog.bucket("files")'),
    "command": ((Sequence, type(None)), 'a list of words, as in ["load", "--all"]'),
    "concurrency": ((int, type(None)), "a number"),
    "config": ((type, type(None)), "the settings class"),
    "console_scripts": (bool, "True or False"),
    "counts": (Mapping, 'a mapping with the meaning of each count, as in {"created": "good", "rejected": "bad"}'),
    "description": (str, "a text"),
    "enabled": ((bool, Setting), 'True, False or catalog.setting("enabled")'),
    "end": ((datetime, type(None)), "a datetime with a time zone"),
    "expected": ((timedelta, type(None)), "a duration, as in timedelta(minutes=5)"),
    "expression": ((str, Setting), 'a text, as in "cron(30 8 * * ? *)"'),
    "external_id": (Setting, 'catalog.setting("external_id")'),
    "grants": (Iterable, 'a list of grants, as in [bucket.read("in/*")]'),
    "image": (Image, 'Image("name")'),
    "leases": ((BucketPath, type(None)), 'Bucket("files") / "leases"'),
    "local": (str, 'a text, as in "package.module:function"'),
    "overridable": ((str, Iterable), 'a list of variables, as in ["REGION"]'),
    "prefix": (str, 'a text, as in "incoming/"'),
    "raw": (str, 'a command, as in "cat rejected/{subject}"'),
    "reasons": (Sequence, 'a list of reasons, as in [Reason("invalid date", "…", "…")]'),
    "records": ((RejectedRecords, type(None)), 'RejectedRecords("SELECT …", service="database", command="…")'),
    "required_at_start": ((str, Iterable), 'a list of variables, as in ["S3_URI"]'),
    "resources": (Sequence, "a list of ARNs"),
    "results": ((BucketPath, type(None)), 'Bucket("files") / "results"'),
    "scratch": (int, "a number of GiB"),
    "sender": (str, 'a name, as in "the warehouse"'),
    "service": (Service, 'a service, as in PostgresService("database", "orders")'),
    "size": ((Size, type(None)), "Size(cpu=1024, memory=2048)"),
    "start": ((datetime, type(None)), "a datetime with a time zone"),
    "suffix": (str, 'a text, as in ".csv"'),
    "target": ((Task, Workflow), "the task or workflow, as in load = catalog.task(…)"),
    "time_limit": (timedelta, "a duration, as in timedelta(minutes=5)"),
    "timezone": (str, 'a name, as in "America/New_York"'),
    "title": (str, 'a text, as in "Order file"'),
}
_ITEMS: dict[str, tuple[Any, str]] = {
    "actions": (str, "texts"),
    "args": (str, "words that are texts"),
    "command": (str, "words that are texts"),
    "grants": (Grant, 'grants, as in bucket.read("in/*")'),
    "overridable": (str, "names of variables"),
    "reasons": (Reason, 'reasons, as in Reason("invalid date", "…", "…")'),
    "required_at_start": (str, "names of variables"),
    "resources": (str, "ARNs"),
}


def check_arguments(declaration: str, location: str, **arguments: object) -> None:
    """Check the types of the arguments of a declaration. Raises InvalidArgument."""
    try:
        for name, value in arguments.items():
            if name in ("env", "secrets"):
                check_variables("It", name, value)
                for variable, secret in value.items() if name == "secrets" and isinstance(value, Mapping) else ():
                    check_type("It", f"secrets[{variable!r}]", secret, Secret, 'Secret("orders/api-key")')
                continue
            kinds, form = _TYPES[name]
            check_type("It", name, value, kinds, form)
            if name == "config" and value is not None and not hasattr(value, "model_fields"):
                raise TypeError(f"It has config={describe(value)}. Use {form}, a subclass of JobSettings.")
            if name in _ITEMS and isinstance(value, Iterable) and not isinstance(value, str | Iterator):
                kinds, form = _ITEMS[name]
                for item in value:
                    check_type("It", f"{name}=[…]", item, kinds, form)
    except TypeError as error:
        raise InvalidArgument(str(error), declaration=declaration, location=location) from None
