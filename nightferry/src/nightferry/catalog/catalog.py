"""The catalog: every background job of an application, declared once.

A :class:`Catalog` holds frozen declarations (:mod:`nightferry.catalog.declarations`) and does no I/O. The local engine,
synthesis, the commands and the documentation all read the same value. Each declaration is checked when it is made,
and an error names the declaration with its file and line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nightferry.arguments import check_type
from nightferry.catalog import checks, main_function, membership, start_values, workflow_checks, workflow_values
from nightferry.catalog.argument_types import check_arguments
from nightferry.catalog.declarations import (
    Bucket,
    BucketPath,
    ByHand,
    CatchUp,
    Function,
    Grant,
    Image,
    Integration,
    ObjectTrigger,
    Role,
    Schedule,
    Secret,
    Service,
    Setting,
    Severity,
    Task,
    Topic,
    TriggerVia,
    Via,
    Workflow,
)
from nightferry.catalog.fargate import LARGEST_SCRATCH, Size
from nightferry.catalog.references import find_references
from nightferry.catalog.reports import Meaning, Reason, RejectedRecords, ReportKind, check_report
from nightferry.contract import (
    OBJECT_MEMBERS,
    SCHEDULE_MEMBERS,
    SCHEDULE_VARIABLE,
    SCHEDULED_AT_VARIABLE,
    STARTED_VARIABLES,
    Overlap,
    Privacy,
    format_value,
)
from nightferry.errors import (
    DuplicateName,
    EndlessTrigger,
    ImpossibleSize,
    InvalidMain,
    InvalidName,
    InvalidSchedule,
    InvalidWorkflow,
    OverlappingTriggers,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

    from nightferry.states.builder import Body, Notify, Retry

_T = TypeVar("_T")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAME_LIMIT = 40  # with application and environment, it must fit AWS's 64 characters of a schedule or function name
_TASK_NAME_LIMIT = 60  # a task definition's family may have 255 characters


class Catalog:
    """All declarations of one application.

    Args:
        name: the application's name, with which the names of all its resources on AWS start. At most 40 lowercase
            letters, digits and single dashes.
        image: the container image that all tasks share.
        env: variables that every task receives, even if its settings class does not declare them.
        secrets: secrets that every task receives, by variable, even if its settings class does not declare them.
        leases: the folder for the leases of tasks without a database. It is required if such a task has an overlap
            policy other than ``allow``.
        results: the folder for the results that later steps of a workflow read. It is required if a workflow uses
            ``Output``.
        console_scripts: if True, a task with ``main`` runs the console script with the task's name, which the
            application's distribution must declare. Otherwise it runs ``python -m nightferry.job MAIN``.
        privacy: what the output of the jobs must not show: secrets, or with ``STRICT`` also personal data and the
            messages of exceptions.
    """

    def __init__(
        self,
        name: str,
        *,
        image: Image,
        env: Mapping[str, object] | None = None,
        secrets: Mapping[str, Secret] | None = None,
        leases: BucketPath | None = None,
        results: BucketPath | None = None,
        console_scripts: bool = False,
        privacy: Privacy = Privacy.SECRETS_ONLY,
    ) -> None:
        check_arguments(
            f"catalog '{name}'", _locate_declaration(), image=image, env=env, secrets=secrets, leases=leases,
            results=results, console_scripts=console_scripts,
        )  # fmt: skip
        self.name = name
        self.image = image
        self.env = _format_values(env)
        self.secrets = dict(secrets or {})
        self.leases = leases
        self.results = results
        self.console_scripts = console_scripts
        self.privacy = Privacy(privacy)
        self.buckets: dict[str, Bucket] = {}
        self.topics: dict[str, Topic] = {}
        self.roles: dict[str, Role] = {}
        self.tasks: dict[str, Task] = {}
        self.functions: dict[str, Function] = {}
        self.resources: dict[str, Integration] = {}
        self.workflows: dict[str, Workflow] = {}
        self.schedules: dict[str, Schedule] = {}
        self.object_triggers: dict[str, ObjectTrigger] = {}
        self.services: dict[str, Service] = {}
        self.settings: dict[str, Setting] = {}
        self.reports: dict[str, ReportKind] = {}
        _check_name("catalog", name, _locate_declaration())
        self._register_settings((env or {}).values())

    def bucket(self, name: str) -> Bucket:
        """Declare an existing bucket, which is a folder on the local backend.

        Args:
            name: the bucket's name without prefix and environment. Each environment on AWS adds them, or names the
                bucket in ``[aws.buckets.NAME]``.
        """
        return self._add(self.buckets, "bucket", Bucket(name), _locate_declaration())

    def topic(self, name: str) -> Topic:
        """Declare a topic for notifications, which the deployment creates.

        Args:
            name: the topic's name without application and environment.
        """
        return self._add(self.topics, "topic", Topic(name), _locate_declaration())

    def role(self, name: str, *, arn: Setting, external_id: Setting) -> Role:
        """Declare a role of another AWS account, which tasks with its grant may assume.

        Args:
            name: the role's name in declarations.
            arn: the setting with the role's ARN.
            external_id: the setting with the external ID that the role requires.
        """
        check_arguments(f"role '{name}'", _locate_declaration(), arn=arn, external_id=external_id)
        self._register_settings((arn, external_id))
        return self._add(self.roles, "role", Role(name, arn, external_id), _locate_declaration())

    def setting(self, name: str, default: object = None) -> Setting:
        """Declare a value that differs between environments, which set it under ``[settings]``.

        Args:
            name: the setting's name. A name with a dot, such as ``database.host``, is in the table
                ``[settings.database]``.
            default: the value of environments that do not set it. Without a default, each environment must set it.
        """
        check_type("A setting", "name", name, str, 'a text, as in catalog.setting("who", default="world")')
        setting = Setting(name, None if default is None else format_value(default, f"The default of setting '{name}'"))
        self._register_settings((setting,))
        return setting

    def service(self, service: Service) -> Service:
        """Declare a service that the local engine starts, such as a database or simulator; on AWS it already runs.

        Args:
            service: a ``PostgresService`` or a ``CommandService``.
        """
        check_arguments("a service", _locate_declaration(), service=service)
        return self._add(self.services, "service", service, _locate_declaration())

    def task(
        self,
        name: str,
        *,
        main: str | None = None,
        command: Sequence[str] | None = None,
        config: type[BaseModel] | None = None,
        description: str = "",
        env: Mapping[str, object] | None = None,
        secrets: Mapping[str, Secret] | None = None,
        grants: Iterable[Grant] = (),
        size: Size | None = None,
        time_limit: timedelta = timedelta(hours=1),
        expected: timedelta | None = None,
        overlap: Overlap = "allow",
        severity: Severity = "low",
        scratch: int = 0,
        concurrency: int | None = None,
        retry: Retry | None = None,
        required_at_start: Iterable[str] = (),
        overridable: Iterable[str] = (),
        accepts_args: bool | None = None,
        by_hand: ByHand = "allow",
    ) -> Task:
        """Declare a task that runs a job in a container, or as a process on the local backend.

        A start may set the settings that are not secret, and whose values do not come from the environment: a value in
        ``env`` that refers to a setting, a bucket or another resource is fixed.

        Args:
            name: the task's name: at most 60 lowercase letters, digits and single dashes. It equals the name in the
                decorator ``background_task`` of ``main``.
            main: the job's function, as ``package.module:function``. A task has either ``main`` or ``command``.
            command: the program and its own arguments, for a task that is not written in Python.
            config: the settings class of a ``command``, which checks its variables. Without it, the command accepts any
                variable. A task with ``main`` has the class of its decorator.
            description: a sentence about the purpose of the task. Default: the first sentence of the settings class.
            env: the variables and their values: constants, settings of the environment, or locations such as
                ``bucket / "folder"``. The settings class must have a field for each of them, and accept its value.
            secrets: the secrets, by variable. Their values are added when the job starts. Without a secret that is not
                optional, a start is refused.
            grants: the permissions of the task, from the methods of a bucket, a topic and a role. On these it has no
                others.
            size: CPU and memory of the container, in a combination that Fargate offers. Default: ``Size()``.
            time_limit: the longest duration of a run, at least one second. A longer run is stopped with exit code 124.
            expected: the usual duration of a run, at most ``time_limit``, for forecasts before the first run.
            overlap: the effect of a start while an earlier run is active. Policies other than ``allow`` need a lease,
                which is in the job's database or in the catalog's folder ``leases``.
            severity: the severity of the alarm when a run fails.
            scratch: GiB of temporary files under ``/tmp``, from 0 (none) to 200. The rest of the container's file
                system is read-only.
            concurrency: the number of runs, at least 1, that the local engine runs at once; further runs wait. None is
                unlimited.
            retry: how a run that a schedule, an object or a person started is started again after a failure: at most 10
                times, with delays of at most a day. A step of a workflow has its own ``retry``.
            required_at_start: the variables that only a start can supply, such as ``S3_URI`` or the day to load. A
                start without them is refused.
            overridable: fixed variables that a start may set nevertheless. Secrets and variables that change where or
                how a job runs are refused.
            accepts_args: whether a start may add arguments. By default, it may add options of settings that it may set
                to a program with a settings class. True lets it add any argument to a ``command``; False allows none.
            by_hand: whether a person may start the task: ``confirm`` requires the name of the environment, for a start
                that can destroy or disclose data; with ``never``, only schedules, triggers and workflows start it.

        Raises:
            DeclarationError: the task could not work when deployed. Its subclass names the kind of mistake.
        """
        location = _locate_declaration()
        declaration = f"task '{name}'"
        check_arguments(
            declaration, location, command=command, config=config, description=description, env=env,
            secrets=secrets, grants=grants, size=size, time_limit=time_limit, expected=expected, scratch=scratch,
            concurrency=concurrency, required_at_start=required_at_start, overridable=overridable,
            accepts_args=accepts_args,
        )  # fmt: skip
        size = size or Size()
        if problem := size.find_problem():
            raise ImpossibleSize(problem, declaration=declaration, location=location)
        if not 0 <= scratch <= LARGEST_SCRATCH:
            raise ImpossibleSize(
                f"scratch = {scratch} GiB: Fargate offers at most {LARGEST_SCRATCH} GiB of ephemeral storage.",
                declaration=declaration,
                location=location,
            )
        checks.check_choice("overlap", overlap, Overlap, declaration, location)
        checks.check_choice("severity", severity, Severity, declaration, location)
        checks.check_choice("by_hand", by_hand, ByHand, declaration, location)
        checks.check_time_limit(time_limit, declaration, location)
        checks.check_expected_duration(expected, time_limit, declaration, location)
        checks.check_concurrency(concurrency, declaration, location)
        checks.check_retry(retry, declaration, location)
        required_at_start, overridable = _list_names(required_at_start), _list_names(overridable)
        self._register_settings((env or {}).values())
        if main is not None:
            checks.reject_main_options(command, config, declaration, location)
            config = main_function.find_settings_class(main, name, declaration, location)
            command = (name,) if self.console_scripts else ("python", "-m", "nightferry.job", main)
        elif not command:
            raise InvalidMain(
                'It has neither main nor command. Add main="package.module:function" or command=[…].',
                declaration=declaration,
                location=location,
            )
        args = start_values.find_accepted_arguments(main, config, accepts_args)
        config = config or checks.get_permissive_settings()
        lease = checks.resolve_lease(config, overlap, self.leases, declaration, location)
        task = Task(
            name=name,
            description=description or checks.get_summary(config),
            main=main,
            command=tuple(command),
            config=config,
            env=_format_values(env),
            secrets=dict(secrets or {}),
            grants=tuple(grants),
            size=size,
            time_limit=time_limit,
            overlap=overlap,
            lease=None if lease is None else str(lease),
            severity=severity,
            scratch=scratch,
            declared_in=location,
            expected=expected,
            concurrency=concurrency,
            retry=retry,
            required_at_start=required_at_start,
            overridable=start_values.find_overridable(
                config, {**self.env, **_format_values(env)}, (*required_at_start, *overridable)
            ),
            args=args,
            by_hand=by_hand,
        )
        checks.check_option_names(config, declaration, location)
        supplied = {*task.env, *task.secrets, *self.env, *self.secrets}
        start_values.check_required_at_start(config, task.required_at_start, supplied, declaration, location)
        secret = {*task.secrets, *self.secrets}
        start_values.check_overridable(config, (*required_at_start, *overridable), secret, declaration, location)
        checks.check_variables(config, task.env, task.secrets, declaration, location, later=task.required_at_start)
        checks.check_database_logins(config, task.secrets, declaration, location)
        membership.check_references(self._members, (task.env, task.command, task.lease), declaration, location)
        for grant in task.grants:
            membership.check_grant(self._members, grant, declaration, location)
        return self._add(self.tasks, "task", task, location)

    def function(self, name: str, *, local: str, arn: Setting) -> Function:
        """Declare an existing Lambda function that workflows may invoke as ``${function:NAME}``.

        Args:
            name: the function's name in definitions.
            local: the Python function, as ``package.module:function``, that the local backend calls instead with the
                payload. Its return value is the output.
            arn: the setting with the function's ARN.
        """
        location = _locate_declaration()
        check_arguments(f"function '{name}'", location, local=local, arn=arn)
        workflow_checks.check_callable_name(local, f"function '{name}'", location)
        self._register_settings((arn,))
        return self._add(self.functions, "function", Function(name, local, arn, location), location)

    def resource(
        self, resource: str, *, local: str, actions: Sequence[str] = (), resources: Sequence[str] = ()
    ) -> Integration:
        """Declare a Step Functions integration that workflows may use in addition to the toolkit's own.

        Args:
            resource: the ARN of the integration, such as ``arn:aws:states:::sqs:sendMessage``.
            local: the Python function, as ``package.module:function``, that the local backend calls instead with the
                parameters. Its return value is the result.
            actions: the IAM actions that the workflow's role is allowed.
            resources: the ARNs on which the role is allowed these actions.
        """
        location = _locate_declaration()
        declaration = f"resource '{resource}'"
        check_arguments(declaration, location, local=local, actions=actions, resources=resources)
        workflow_checks.check_callable_name(local, declaration, location)
        workflow_checks.check_integration(resource, declaration, location)
        if resource in self.resources:
            raise DuplicateName(
                f"It is already declared in {self.resources[resource].declared_in}. Remove one of them.",
                declaration=declaration,
                location=location,
            )
        self.resources[resource] = Integration(resource, local, tuple(actions), tuple(resources), location)
        return self.resources[resource]

    def workflow(
        self,
        name: str,
        body: Body | Mapping[str, Any],
        *,
        description: str = "",
        retry: Retry | None = None,
        timeout: timedelta | None = None,
        on_failure: Notify | None = None,
        overlap: Overlap = "allow",
        severity: Severity = "high",
    ) -> Workflow:
        """Declare a workflow from steps of :mod:`nightferry.states.builder`, or from its definition.

        Args:
            name: the workflow's name: at most 40 lowercase letters, digits and single dashes.
            body: a step such as ``Steps(…)``, or a definition in Amazon States Language. A definition may contain
                references, which each environment substitutes.
            description: a sentence about the purpose of the workflow.
            retry: the retry of each task that has no ``retry`` of its own. A definition has its own ``Retry``.
            timeout: the longest duration of the whole execution. A definition has its own ``TimeoutSeconds``.
            on_failure: the notice that is published after each execution that fails, times out or is stopped. It is not
                part of the definition, so that a redrive runs the failed step again.
            overlap: the effect of a start while an earlier execution is open.
            severity: the severity of the alarm when an execution fails.
        """
        from nightferry.states import builder

        location = _locate_declaration()
        declaration = f"workflow '{name}'"
        builder.check_options(declaration, body, retry=retry, timeout=timeout, on_failure=on_failure)
        checks.check_choice("overlap", overlap, Overlap, declaration, location)
        checks.check_choice("severity", severity, Severity, declaration, location)
        steps = () if isinstance(body, Mapping) else tuple(builder.runs(body))
        for step in steps:
            values = (*(step.env or {}).values(), *step.words)
            self._register_settings(workflow_values.find_constants(values))
        rendered = None
        if isinstance(body, Mapping):
            workflow_checks.reject_builder_options(declaration, location, retry=retry, timeout=timeout)
            definition = {**({"Comment": description} if description else {}), **body}
        else:
            folder = None if self.results is None else str(self.results)
            try:
                rendered = builder.render_workflow(
                    body, comment=description, retry=retry, timeout=timeout, results=folder
                )
            except ValueError as error:
                raise InvalidWorkflow(str(error), declaration=declaration, location=location) from None
            definition = rendered.definition
            workflow_values.check_outputs(body, self.tasks, declaration, location, self.privacy)
        workflow_checks.check_definition(definition, set(self.resources), declaration, location)
        membership.check_references(self._members, definition, declaration, location)
        for step in steps:
            task = self.tasks[step.task.name]
            given = {
                name: None if isinstance(v, builder.Value) else format_value(v) for name, v in (step.env or {}).items()
            }
            checks.check_variables(
                task.config,
                {**task.env, **given},
                task.secrets,
                f"{declaration}, task '{task.name}'",
                location,
                later=task.required_at_start,
            )
            place = f"{declaration}, task '{task.name}'"
            start_values.check_overrides(task, step.env or (), step.words, place, location)
        start_values.check_definition(definition, self.tasks, {SCHEDULED_AT_VARIABLE}, declaration, location)
        referenced = sorted(reference.name for reference in find_references(definition) if reference.kind == "task")
        tasks = tuple(dict.fromkeys(step.task.name for step in steps)) or tuple(referenced)
        workflow = Workflow(
            name=name,
            description=description,
            definition=definition,
            tasks=tasks,
            overlap=overlap,
            severity=severity,
            declared_in=location,
            on_failure=on_failure,
            required=() if rendered is None else rendered.required,
            inputs=None if rendered is None else rendered.inputs,
            results=() if rendered is None else rendered.results,
        )
        if on_failure is not None:
            membership.check_member(on_failure.topic, self.topics, declaration, location)
            notice = (workflow.failure_subject, on_failure.message or "")
            membership.check_references(self._members, notice, declaration, location)
        return self._add(self.workflows, "workflow", workflow, location)

    def schedule(
        self,
        name: str,
        target: Task | Workflow,
        expression: str | Setting,
        *,
        timezone: str = "UTC",
        args: Sequence[str] = (),
        env: Mapping[str, object] | None = None,
        enabled: bool | Setting = True,
        via: Via = "scheduler",
        catch_up: CatchUp = "once",
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Schedule:
        """Start ``target`` at the times of ``expression``.

        A task receives the time of the fire as the variable ``SCHEDULED_AT``, a workflow as ``scheduled_at`` of its
        input.

        Args:
            name: the schedule's name: at most 40 lowercase letters, digits and single dashes.
            target: the task or workflow.
            expression: the times, as ``cron(…)``, ``rate(…)`` or ``at(…)``, or a setting with such a text.
            timezone: the time zone of ``cron(…)`` and ``at(…)``, an IANA name such as ``America/New_York``.
            args: arguments for a task, as far as it accepts them.
            env: variables for a task, as far as a start may set them.
            enabled: False, or a setting with ``false``, if the schedule must not fire.
            via: the AWS service. A classic rule fires in UTC only, and supports neither ``at(…)`` nor a period.
            catch_up: the starts that the local engine makes for missed fires. On AWS, Scheduler retries a start for an
                hour.
            start: the earliest time of a fire, with any time zone. ``at(…)`` has none.
            end: the latest time of a fire, with any time zone. ``at(…)`` has none.
        """
        location = _locate_declaration()
        declaration = f"schedule '{name}'"
        check_arguments(
            declaration, location, target=target, expression=expression, timezone=timezone, args=args, env=env,
            enabled=enabled, start=start, end=end,
        )  # fmt: skip
        self._register_settings((expression, enabled, *(env or {}).values()))
        membership.check_member(target, self._get_targets(target), declaration, location)
        checks.check_choice("via", via, Via, declaration, location)
        checks.check_choice("catch_up", catch_up, CatchUp, declaration, location)
        checks.check_schedule(expression, timezone, via, declaration, location)
        checks.check_period(expression, start, end, via, declaration, location)
        workflow_checks.check_required_input(target, SCHEDULE_MEMBERS, "a schedule", declaration, location)
        if not isinstance(target, Task) and (args or env):
            raise InvalidSchedule(
                "A workflow accepts neither args nor env. Pass them to RunTask in the workflow.",
                declaration=declaration,
                location=location,
            )
        if isinstance(target, Task):
            values = _format_values(env)
            supplied = (SCHEDULED_AT_VARIABLE, SCHEDULE_VARIABLE)
            start_values.check_start(target, values, args, supplied, declaration, location)
            membership.check_references(self._members, (values, tuple(args)), declaration, location)
        schedule = Schedule(
            name=name,
            target=target.name,
            kind="task" if isinstance(target, Task) else "workflow",
            expression=str(expression),
            timezone=timezone,
            args=tuple(args),
            env=_format_values(env),
            enabled=format_value(enabled),
            via=via,
            catch_up=catch_up,
            declared_in=location,
            start=None if start is None else start.astimezone(UTC),
            end=None if end is None else end.astimezone(UTC),
        )
        return self._add(self.schedules, "schedule", schedule, location)

    def object_trigger(
        self,
        name: str,
        target: Task | Workflow,
        *,
        bucket: Bucket,
        prefix: str = "",
        suffix: str = "",
        enabled: bool | Setting = True,
        via: TriggerVia = "lambda",
    ) -> ObjectTrigger:
        """Start ``target`` for each new object whose key starts with ``prefix`` and ends with ``suffix``.

        A task receives the object as ``S3_BUCKET``, ``S3_KEY``, ``S3_VERSION`` and ``S3_URI``; a workflow as
        ``bucket``, ``key``, ``version`` and ``uri`` of its input.

        Args:
            name: the trigger's name: at most 40 lowercase letters, digits and single dashes.
            target: the task or workflow.
            bucket: the declared bucket.
            prefix: the start of the keys, as plain text without wildcards.
            suffix: the end of the keys, as plain text without wildcards.
            enabled: False, or a setting with ``false``, if the trigger must not fire.
            via: how AWS reports an object. ``eventbridge`` is required if triggers overlap, or if other deployments
                have notifications on the bucket.
        """
        location = _locate_declaration()
        declaration = f"object trigger '{name}'"
        check_arguments(
            declaration, location, target=target, bucket=bucket, prefix=prefix, suffix=suffix, enabled=enabled
        )
        membership.check_member(target, self._get_targets(target), declaration, location)
        membership.check_member(bucket, self.buckets, declaration, location)
        checks.check_choice("via", via, TriggerVia, declaration, location)
        if isinstance(target, Task):
            supplied = STARTED_VARIABLES - {SCHEDULED_AT_VARIABLE, SCHEDULE_VARIABLE}
            start_values.check_start(target, {}, (), supplied, declaration, location)
        workflow_checks.check_required_input(target, OBJECT_MEMBERS, "an object trigger", declaration, location)
        self._register_settings((enabled,))
        trigger = ObjectTrigger(
            name=name,
            target=target.name,
            kind="task" if isinstance(target, Task) else "workflow",
            bucket=bucket.name,
            prefix=prefix,
            suffix=suffix,
            enabled=format_value(enabled),
            via=via,
            declared_in=location,
        )
        for written, folder, ending in (("results", self.results, ".json"), ("leases", self.leases, ".lease")):
            if folder is not None and checks.fires_for_folder(trigger, folder.bucket, folder.path, ending):
                raise EndlessTrigger(
                    f"It would fire for the {written} of tasks, which are stored in the folder {folder.path} of this "
                    "bucket, and start runs without end. Add a prefix or suffix that excludes them.",
                    declaration=declaration,
                    location=location,
                )
        for other in self.object_triggers.values():
            if checks.has_overlap(trigger, other):
                raise OverlappingTriggers(
                    f"An object could also match trigger '{other.name}' ({other.declared_in}), and S3 rejects "
                    "overlapping notifications. Make the prefixes or the suffixes exclude each other, or declare both "
                    'triggers with via="eventbridge".',
                    declaration=declaration,
                    location=location,
                )
        return self._add(self.object_triggers, "object trigger", trigger, location)

    def report(
        self,
        name: str,
        *,
        title: str,
        counts: Mapping[str, Meaning],
        reasons: Iterable[Reason] = (),
        records: RejectedRecords | None = None,
        raw: str = "",
        sender: str = "the sender",
    ) -> ReportKind:
        """Declare the reports that a job writes with ``run.report(name, …)``, one for each file or other subject.

        Args:
            name: the kind of report.
            title: the kind in words, for people.
            counts: the meaning of each count, in the order in which a bar shows them.
            reasons: the reasons for which the job rejects records. They require a count with the meaning ``bad``.
            records: where the rejected records are.
            raw: a command that reads the rejected records as they were received. It may contain ``{subject}``.
            sender: the party that sends the subjects and corrects them, such as "the warehouse".
        """
        location = _locate_declaration()
        declaration = f"report '{name}'"
        reasons = tuple(reasons)
        check_arguments(
            declaration, location, title=title, counts=counts, reasons=reasons, records=records, raw=raw, sender=sender
        )
        kind = ReportKind(name, title, dict(counts), reasons, records, raw, location, sender)
        check_report(kind, self.services, declaration)
        return self._add(self.reports, "report", kind, location)

    def stores_result(self, task: str) -> bool:
        """Return True if a step of a workflow reads the results of a task."""
        return any(task in workflow.results for workflow in self.workflows.values())

    def _add(self, members: dict[str, _T], kind: str, value: _T, location: str) -> _T:
        name: str = value.name  # type: ignore[attr-defined]  # every declaration has a name
        _check_name(kind, name, location)
        if name in members:
            first = getattr(members[name], "declared_in", "")
            raise DuplicateName(
                f"The name is already used{f' in {first}' if first else ''}. Rename one of them.",
                declaration=f"{kind} '{name}'",
                location=location,
            )
        members[name] = value
        return value

    @property
    def _members(self) -> membership.Declared:
        return {
            "bucket": self.buckets,
            "topic": self.topics,
            "role": self.roles,
            "task": self.tasks,
            "workflow": self.workflows,
            "function": self.functions,
            "setting": self.settings,
        }

    def _get_targets(self, target: Task | Workflow) -> Mapping[str, Task | Workflow]:
        return self.tasks if isinstance(target, Task) else self.workflows

    def _register_settings(self, values: Iterable[object]) -> None:
        for value in values:
            if isinstance(value, Setting):
                known = self.settings.setdefault(value.name, value)
                if known.default is None and value.default is not None:
                    self.settings[value.name] = replace(known, default=value.default)


def _list_names(names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _format_values(values: Mapping[str, object] | None) -> dict[str, str]:
    return {name: format_value(value, f"Variable {name}") for name, value in (values or {}).items()}


def _check_name(kind: str, name: str, location: str) -> None:
    limit = _TASK_NAME_LIMIT if kind == "task" else _NAME_LIMIT
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > limit:
        raise InvalidName(
            f"The name is not valid. Use at most {limit} lowercase letters, digits and single dashes, starting with a "
            "letter.",
            declaration=f"{kind} '{name}'",
            location=location,
        )


def _locate_declaration() -> str:
    """Return ``file:line`` of the nearest caller outside this module, which is the declaration."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{_find_path_in_project(frame.f_code.co_filename)}:{frame.f_lineno}"


@lru_cache
def _find_path_in_project(file: str) -> str:
    """Return a file's path relative to its project, which is the same on every machine and in every current folder."""
    path = Path(file)
    for folder in path.parents:
        if (folder / "pyproject.toml").is_file():
            return path.relative_to(folder).as_posix()
    return path.name
