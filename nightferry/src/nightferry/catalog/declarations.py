"""The declarations: frozen values that describe tasks, workflows, schedules, triggers and services.

A :class:`~nightferry.catalog.catalog.Catalog` creates and checks them. Their text may contain references (see
:mod:`nightferry.catalog.references`) such as ``str(bucket / "folder")`` and ``str(Setting("name"))``, which an
environment substitutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from nightferry.catalog.fargate import Size
from nightferry.catalog.references import Reference
from nightferry.contract import Overlap
from nightferry.overrides import Arguments

if TYPE_CHECKING:
    from pydantic import BaseModel

    from nightferry.states.builder import Notify, Retry

Severity = Literal["high", "low"]
"""The recipient of an alarm: ``high`` pages the on-call person, ``low`` is read on the next working day."""

Via = Literal["scheduler", "rule"]
"""The AWS service that fires a schedule: ``scheduler`` is EventBridge Scheduler, ``rule`` a classic rule."""

TriggerVia = Literal["lambda", "eventbridge"]
"""How AWS reports a new object: ``lambda`` by a Lambda function that S3 calls, ``eventbridge`` by EventBridge."""

CatchUp = Literal["skip", "once", "all"]
"""The starts that the engine makes for missed fires: ``skip`` none, ``once`` one in all, ``all`` one for each."""

ByHand = Literal["allow", "confirm", "never"]
"""Whether a person may start a task, other than as a step of a workflow: ``allow`` without a condition, ``confirm``
after typing the environment's name, ``never`` not at all."""

Access = Literal["read", "list", "write", "delete", "publish", "assume"]


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Setting:
    """A value that differs between environments, set under ``[settings]`` in ``environments/NAME.toml``.

    Attributes:
        name: the setting's name. The part before a dot is the name of a table in ``[settings]``.
        default: the value of environments that do not set it. If it is None, each environment must set it.
    """

    name: str
    default: str | None = None

    def __str__(self) -> str:
        return str(Reference("setting", self.name))


@dataclass(frozen=True)
class Secret:
    """A secret in the parameter store, whose value is added to the job's environment when the job starts.

    The value is not part of any declaration.

    Attributes:
        name: the secret's name, relative to the path of the application and environment. A name that starts with ``/``
            is a full path.
        optional: if True, the secret need not exist in every environment. An environment on AWS that has it lists it in
            ``aws.secrets``.
    """

    name: str
    optional: bool = False


@dataclass(frozen=True)
class Image:
    """The container image that all tasks share; the deployment supplies the tag.

    Attributes:
        repository: the name of the image's repository.
        programs: the programs of the image that jobs start, each with a hint how to install it on a developer's
            machine, which ``nightferry doctor`` prints.
    """

    repository: str
    programs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Grant:
    """A task's permission on the objects of one bucket, on one topic or on one role.

    The methods of a bucket, a topic and a role return grants.
    """

    kind: Literal["bucket", "topic", "role"]
    name: str
    access: frozenset[Access]
    pattern: str = "*"


@dataclass(frozen=True)
class BucketPath:
    """A folder or object in a bucket: ``bucket / "folder"``. As text, it is a reference followed by the path."""

    bucket: str
    path: str

    def __truediv__(self, path: str) -> BucketPath:
        return BucketPath(self.bucket, f"{self.path.rstrip('/')}/{path}")

    def __str__(self) -> str:
        return f"{Reference('bucket', self.bucket)}/{self.path}"


@dataclass(frozen=True)
class Bucket:
    """An existing bucket, which is a folder on the local backend.

    In the pattern of a grant, ``*`` stands for any characters, also ``/``, and ``?`` for one character.
    """

    name: str

    def __truediv__(self, path: str) -> BucketPath:
        return BucketPath(self.name, path)

    def list(self, pattern: str) -> Grant:
        """Grant listing objects whose keys match ``pattern``, without reading them."""
        return Grant("bucket", self.name, frozenset({"list"}), pattern)

    def read(self, pattern: str) -> Grant:
        """Grant listing and reading objects whose keys match ``pattern`` (``in/*``)."""
        return Grant("bucket", self.name, frozenset({"read", "list"}), pattern)

    def write(self, pattern: str) -> Grant:
        """Grant writing objects whose keys match ``pattern``, without reading or deleting them."""
        return Grant("bucket", self.name, frozenset({"write"}), pattern)

    def read_write(self, pattern: str) -> Grant:
        """Grant listing, reading, writing and deleting objects whose keys match ``pattern``."""
        return Grant("bucket", self.name, frozenset({"read", "list", "write", "delete"}), pattern)


@dataclass(frozen=True)
class Topic:
    """A topic that people and pagers can subscribe to."""

    name: str

    def publish(self) -> Grant:
        """Grant publishing to the topic."""
        return Grant("topic", self.name, frozenset({"publish"}))


@dataclass(frozen=True)
class Role:
    """A role of another account that a task may assume.

    Attributes:
        name: the role's name in declarations.
        arn: the setting with the role's ARN.
        external_id: the setting with the external ID that the role requires.
    """

    name: str
    arn: Setting
    external_id: Setting

    def assume(self) -> Grant:
        """Grant assuming the role."""
        return Grant("role", self.name, frozenset({"assume"}))


# ── declarations ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Task:
    """The declaration of a job: a command in the shared image with settings, secrets, grants, size and limits.

    :meth:`~nightferry.catalog.catalog.Catalog.task` describes the attributes that are its arguments.

    Attributes:
        command: the container's program and its own arguments.
        lease: where the task's lease is stored: in the job's database, or under a folder; None if runs may overlap.
        overridable: the variables that a start may set, besides those of :mod:`nightferry.overrides`.
        args: the arguments that a start may add.
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
    retry: Retry | None = None
    required_at_start: tuple[str, ...] = ()
    overridable: frozenset[str] = frozenset()
    args: Arguments = "none"
    by_hand: ByHand = "allow"


@dataclass(frozen=True)
class Workflow:
    """A state machine in Amazon States Language, whose resources are references.

    ``definition`` is the document that Step Functions receives and that the local engine interprets.
    """

    name: str
    description: str
    definition: Mapping[str, Any]
    tasks: tuple[str, ...]
    overlap: Overlap
    severity: Severity
    declared_in: str
    on_failure: Notify | None = None
    """The notice that is published after an execution that failed, timed out or was stopped."""
    required: tuple[str, ...] = ()
    """The members of the input without which every execution fails; known for a workflow of steps."""
    inputs: tuple[str, ...] | None = None
    """The members of the input that the workflow reads; None if it is a definition, or may read any member."""
    results: tuple[str, ...] = ()
    """The tasks that store a result for later steps."""

    @property
    def failure_subject(self) -> str:
        """The subject of the notice; it may contain references. SNS allows 100 characters."""
        subject = None if self.on_failure is None else self.on_failure.subject
        return f"Workflow {self.name} failed in ${{environment}}" if subject is None else subject


@dataclass(frozen=True)
class Function:
    """An existing Lambda function on AWS, identified by its ``arn``.

    The local backend calls ``local`` (``package.module:name``) instead, with the payload; the return value is the
    function's output.
    """

    name: str
    local: str
    arn: Setting
    declared_in: str


@dataclass(frozen=True)
class Integration:
    """A Step Functions integration that workflows may use in addition to the toolkit's own.

    The local backend calls ``local`` (``package.module:name``) instead, with the parameters; the return value is the
    result. The workflow's role is allowed ``actions`` on ``resources`` (ARNs).
    """

    resource: str
    local: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    declared_in: str


@dataclass(frozen=True)
class Schedule:
    """Starts a task or workflow at the times of ``cron(…)``, ``rate(…)`` or ``at(…)`` in a time zone.

    ``expression`` and ``enabled`` may be references to settings. ``via`` selects EventBridge Scheduler or a classic
    EventBridge rule on AWS. ``catch_up`` is the policy for missed fires. The schedule fires from ``start`` to ``end``,
    both included, if they are set; as in EventBridge Scheduler, ``at(…)`` ignores them. A task receives the time of the
    fire as ``SCHEDULED_AT``, a workflow as ``scheduled_at`` of its input.
    """

    name: str
    target: str
    kind: Literal["task", "workflow"]
    expression: str
    timezone: str
    args: tuple[str, ...]
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

    A task receives the object as ``S3_BUCKET``, ``S3_KEY``, ``S3_VERSION`` and ``S3_URI``, its location for
    :mod:`nightferry.storage`; a workflow as ``bucket``, ``key``, ``version`` and ``uri`` of its input.
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
    """A PostgreSQL server with one database that the local engine starts.

    Settings of a local environment refer to it as ``${service:NAME.host}`` (the directory of its Unix socket),
    ``.port``, ``.user`` and ``.database``.

    Attributes:
        name: the service's name.
        database: the name of the database.
    """

    name: str
    database: str


@dataclass(frozen=True)
class CommandService:
    """A server process that the local engine starts, such as a simulator of an API.

    It listens on ``${service:NAME.port}``, a free port of the loopback interface. Its ``command`` and ``env`` may refer
    to the port and to ``${state}``, the engine's directory, which contains each bucket as ``buckets/BUCKET``. Settings
    of a local environment refer to the service as ``${service:NAME.url}`` (``http://127.0.0.1:PORT``).

    Attributes:
        name: the service's name.
        command: the program and its arguments.
        ready: the path for which the server returns the status 200 when it is ready.
        env: variables of the process.
        secrets: secrets of the process, by variable.
    """

    name: str
    command: tuple[str, ...]
    ready: str
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)


Service = PostgresService | CommandService
