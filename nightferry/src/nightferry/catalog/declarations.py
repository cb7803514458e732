"""The declarations: frozen values that say what is wanted, and nothing of how it is done.

A :class:`~nightferry.catalog.catalog.Catalog` makes and checks them. Text in them may hold references (see
:mod:`nightferry.catalog.references`): ``str(bucket / "folder")`` and ``str(Setting("name"))`` are such references,
which an environment substitutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from nightferry.catalog.fargate import Size
from nightferry.catalog.references import Reference
from nightferry.contract import Overlap

if TYPE_CHECKING:
    from pydantic import BaseModel

Severity = Literal["high", "low"]
"""Whom an alarm reaches: ``high`` pages somebody, ``low`` is read in the morning."""

Via = Literal["scheduler", "rule"]
"""What fires a schedule on AWS: EventBridge Scheduler, or a classic EventBridge rule."""

TriggerVia = Literal["lambda", "eventbridge"]
"""What tells of a new object on AWS: S3 by a Lambda function, or EventBridge."""

CatchUp = Literal["skip", "once", "all"]
"""What happens with fires that were missed: nothing, one start for all of them, or one for each."""

Access = Literal["read", "list", "write", "delete", "publish", "assume"]


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Setting:
    """A value that differs between environments: ``[settings]`` of ``environments/NAME.toml`` holds it.

    A ``default`` of None means that every environment must set it.
    """

    name: str
    default: str | None = None

    def __str__(self) -> str:
        return str(Reference("setting", self.name))


@dataclass(frozen=True)
class Secret:
    """A secret's name in the parameter store below the application's and environment's path.

    A name that starts with ``/`` is a full path. The value reaches the job's environment when it starts and
    stands in no declaration. An ``optional`` secret need not exist in every environment.
    """

    name: str
    optional: bool = False


@dataclass(frozen=True)
class Image:
    """The repository of the container image that all tasks share; the tag is given at deployment.

    ``programs`` are the programs in the image that jobs start, each with how to install it on a developer's machine.
    """

    repository: str
    programs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Grant:
    """A permission on one thing: what a task may do with the objects of a bucket, a topic or a role."""

    kind: Literal["bucket", "topic", "role"]
    name: str
    access: frozenset[Access]
    pattern: str = "*"


@dataclass(frozen=True)
class BucketPath:
    """A folder or object in a bucket: ``bucket / "folder"``; as text, a reference with the path behind it."""

    bucket: str
    path: str

    def __truediv__(self, path: str) -> BucketPath:
        return BucketPath(self.bucket, f"{self.path.rstrip('/')}/{path}")

    def __str__(self) -> str:
        return f"{Reference('bucket', self.bucket)}/{self.path}"


@dataclass(frozen=True)
class Bucket:
    """A bucket that exists already; on one machine, a folder."""

    name: str

    def __truediv__(self, path: str) -> BucketPath:
        return BucketPath(self.name, path)

    def read(self, pattern: str) -> Grant:
        """May list and get the objects whose keys match ``pattern`` (``in/*``)."""
        return Grant("bucket", self.name, frozenset({"read", "list"}), pattern)

    def write(self, pattern: str) -> Grant:
        """May put objects whose keys match ``pattern``, and neither read nor delete them."""
        return Grant("bucket", self.name, frozenset({"write"}), pattern)

    def read_write(self, pattern: str) -> Grant:
        """May list, get, put and delete the objects whose keys match ``pattern``."""
        return Grant("bucket", self.name, frozenset({"read", "list", "write", "delete"}), pattern)


@dataclass(frozen=True)
class Topic:
    """A topic that people and pagers subscribe to."""

    name: str

    def publish(self) -> Grant:
        """Grant publishing to the topic."""
        return Grant("topic", self.name, frozenset({"publish"}))


@dataclass(frozen=True)
class Role:
    """A role of another account that a task may assume; its ARN and external id are settings."""

    name: str
    arn: Setting
    external_id: Setting

    def assume(self) -> Grant:
        """Grant assuming the role."""
        return Grant("role", self.name, frozenset({"assume"}))


# ── declarations ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Task:
    """A job: one command in the shared image with its settings, secrets, permissions, size and limits.

    ``env`` holds text with references. ``main`` is the job's function, None for a task that is a command only;
    ``config`` is the settings class, ``command`` the container's command. ``time_limit`` bounds every run; ``overlap``
    says what a second start does while one runs, and ``lease`` where that is kept: in the job's database, or below a
    folder. ``severity`` is whom a failure reaches. ``scratch`` is how many GiB of temporary files it may write below
    ``/tmp``, the only place where its container may write at all; 0 is none. ``expected`` is how long it usually takes,
    for forecasts before it has ever run. ``concurrency`` is how many of it the embedded engine runs at once, None
    without a limit of its own; more wait their turn.
    """

    name: str
    description: str
    main: str | None
    command: tuple[str, ...]
    config: type[BaseModel]
    env: Mapping[str, str]
    secrets: Mapping[str, Secret]
    grants: tuple[Grant, ...]
    size: Size
    time_limit: timedelta
    overlap: Overlap
    lease: str | None
    severity: Severity
    scratch: int
    declared_in: str
    expected: timedelta | None = None
    concurrency: int | None = None


@dataclass(frozen=True)
class Workflow:
    """A state machine in Amazon States Language, whose resources are references.

    ``definition`` is the very document that Step Functions gets and that the local engine interprets.
    """

    name: str
    description: str
    definition: Mapping[str, Any]
    tasks: tuple[str, ...]
    overlap: Overlap
    severity: Severity
    declared_in: str


@dataclass(frozen=True)
class Function:
    """A Lambda function that exists already on AWS, by its ``arn``.

    On this machine the callable ``local`` (``package.module:name``) stands for it: it gets the payload and returns the
    function's output.
    """

    name: str
    local: str
    arn: Setting
    declared_in: str


@dataclass(frozen=True)
class Integration:
    """A resource of Step Functions that workflows may name beside those that the toolkit has.

    On this machine the callable ``local`` (``package.module:name``) stands for it: it gets the parameters and returns
    the result. ``actions`` are what a workflow's role must be allowed for it, on ``resources`` (ARNs).
    """

    resource: str
    local: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    declared_in: str


@dataclass(frozen=True)
class Schedule:
    """When a task or workflow starts: ``cron(…)``, ``rate(…)`` or ``at(…)`` in a time zone of its own.

    ``expression`` and ``enabled`` may be references to settings. ``via`` chooses EventBridge Scheduler or a
    classic EventBridge rule on AWS. ``catch_up`` says what happens with fires that were missed. It fires from
    ``start`` on and until ``end``, both included, where they are given; ``at(…)`` does not look at them (Scheduler's
    rules).
    """

    name: str
    target: str
    kind: Literal["task", "workflow"]
    expression: str
    timezone: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    enabled: str
    via: Via
    catch_up: CatchUp
    declared_in: str
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class ObjectTrigger:
    """Starts a task or workflow when an object whose key has this prefix and suffix appears in the bucket.

    A task gets the object as ``S3_BUCKET``, ``S3_KEY`` and ``S3_VERSION``, a workflow as ``bucket``, ``key`` and
    ``version`` of its input.
    """

    name: str
    target: str
    kind: Literal["task", "workflow"]
    bucket: str
    prefix: str
    suffix: str
    enabled: str
    via: TriggerVia
    declared_in: str


@dataclass(frozen=True)
class PostgresService:
    """A PostgreSQL server of the local engine with one database.

    Settings of a local environment refer to it by ``${service:NAME.host}`` (the directory of its Unix socket),
    ``.port``, ``.user`` and ``.database``.
    """

    name: str
    database: str


@dataclass(frozen=True)
class CommandService:
    """A server process of the local engine, ready when ``GET {url}{ready}`` answers 200.

    It listens at ``${service:NAME.port}``, a free port of the loopback interface that its ``command`` and ``env``
    may refer to, as to ``${state}``, the engine's directory, whose ``buckets/BUCKET`` holds a bucket. Settings of a
    local environment refer to it by ``${service:NAME.url}`` (``http://127.0.0.1:PORT``).
    """

    name: str
    command: tuple[str, ...]
    ready: str
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)


Service = PostgresService | CommandService
