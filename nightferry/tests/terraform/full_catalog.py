"""The 39 regular tasks, 19 schedules and 3 triggers of a state agency, for synthesis at full size.

Names, sizes, schedules and triggers are those of the system that Nightferry replaces, with times in local time and
dashes instead of underscores. ``GROUPS`` are the variables that its tasks share.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SecretStr

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image, Secret, Task
from nightferry.catalog.fargate import Size
from nightferry.environments.environment import Environment, parse
from nightferry.states.builder import ForEach, Item, Notify, Retry, RunTask, Steps
from tests.terraform.example import ENVIRONMENT, NOTICES


class AnySettings(BaseModel):
    """Settings that accept any field."""

    model_config = ConfigDict(extra="allow")
    database_logins: ClassVar = {"db_username": "db_password"}

    db_username: str = "jobs"
    db_password: SecretStr | None = None

    def connect(self) -> None: ...


# By task: CPU units, MiB, groups of variables, and the buckets that it reads and writes.
TASKS: dict[str, tuple[int, int, str, str]] = {
    "db-migrate-up": (1024, 2048, "D", ""),
    "db-migrate-down": (1024, 2048, "D", ""),
    "db-admin-create-db-users": (1024, 2048, "D", ""),
    "db-create-fineos-user": (1024, 2048, "D", ""),
    "db-create-servicenow-user": (1024, 2048, "D", ""),
    "execute-sql": (1024, 2048, "D", "export bi reports"),
    "dor-import": (4096, 18432, "D", "agency"),
    "dor-create-pending-filing-submission": (4096, 18432, "D", "agency"),
    "dor-pending-filing-response-import": (4096, 18432, "D", "agency"),
    "dor-import-exempt": (4096, 18432, "D", "agency"),
    "fineos-import-employee-updates": (2048, 9216, "DS", ""),
    "fineos-import-la-units": (2048, 9216, "DAS", ""),
    "register-leave-admins-with-fineos": (4096, 18432, "DA", ""),
    "load-employers-to-fineos": (1024, 2048, "DA", ""),
    "fineos-eligibility-feed-export": (4096, 8192, "DAS", ""),
    "reductions-process-agency-data": (1024, 2048, "DMR", "agency"),
    "reductions-send-claimant-lists": (1024, 2048, "DMR", "agency"),
    "pub-payments-process-fineos": (2048, 16384, "DSP", "agency reports"),
    "pub-payments-process-snapshot": (2048, 16384, "DSP", "agency reports"),
    "pub-payments-create-pub-files": (1024, 2048, "DSP", "agency reports"),
    "pub-payments-process-pub-returns": (1024, 2048, "DSP", "agency reports"),
    "pub-payments-copy-audit-report": (2048, 4096, "DP", "reports"),
    "pub-claimant-address-validation": (1024, 2048, "DSP", "agency reports"),
    "fineos-import-iaww": (2048, 8192, "DSP", "agency reports"),
    "fineos-bucket-tool": (1024, 2048, "S", "agency bi"),
    "import-fineos-to-warehouse": (1024, 2048, "S", "agency bi"),
    "cps-errors-crawler": (1024, 2048, "", "agency"),
    "sftp-tool": (1024, 2048, "M", "agency"),
    "update-gender-data-from-rmv": (1024, 2048, "D", ""),
    "evaluate-new-eligibility": (1024, 2048, "D", "export"),
    "report-sequential-employment": (1024, 2048, "D", "export bi reports"),
    "dua-generate-and-send-employee-request-file": (2048, 4096, "DMR", "agency"),
    "dua-generate-and-send-employer-request-file": (2048, 4096, "DMR", "agency"),
    "dua-import-employee-demographics": (2048, 4096, "DMR", "agency"),
    "dua-import-employer": (2048, 4096, "DMR", "agency"),
    "dua-import-employer-unit": (2048, 4096, "DMR", "agency"),
    "dua-backfill-employee-gender": (2048, 4096, "D", "agency"),
    "mfa-lockout-resolution": (1024, 2048, "D", ""),
    "backfill-benefit-years": (1024, 2048, "D", ""),
}
GROUPS: dict[str, tuple[tuple[str, ...], dict[str, Secret]]] = {
    "D": (("DB_HOST", "DB_NAME", "DB_USERNAME"), {"DB_PASSWORD": Secret("db-password")}),
    "A": (
        tuple(f"FINEOS_CLIENT_{n}" for n in range(7)),
        {"FINEOS_CLIENT_OAUTH2_CLIENT_SECRET": Secret("fineos_oauth2_client_secret")},
    ),
    "S": (("FINEOS_ROLE_ARN", "FINEOS_EXTERNAL_ID", "FINEOS_IMPORT_PATH", "FINEOS_EXPORT_PATH"), {}),
    "P": (tuple(f"PAYMENTS_FOLDER_{n}" for n in range(11)), {}),
    "M": (("MOVEIT_URI", "MOVEIT_SFTP_URI"), {"MOVEIT_KEY": Secret("/service/example-comptroller/test/key")}),
    "R": (tuple(f"REDUCTIONS_FOLDER_{n}" for n in range(6)), {}),
}
# By schedule: target, expression in local time, and command.
SCHEDULES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "fineos-data-export-tool": ("fineos-bucket-tool", "cron(0 4 * * ? *)", ("--recursive",)),
    "fineos-report-extracts-tool": ("fineos-bucket-tool", "cron(30 12,16 * * ? *)", ("--dated",)),
    "import-fineos-to-warehouse": ("import-fineos-to-warehouse", "cron(0 23 * * ? *)", ()),
    "fineos-error-extract-tool": ("fineos-bucket-tool", "cron(0 9 * * ? *)", ("--errors",)),
    "cps-errors-crawler": ("cps-errors-crawler", "cron(0 10 * * ? *)", ()),
    "export-leave-admins-created": ("execute-sql", "rate(24 hours)", ("--dated", "SELECT 1")),
    "export-psd-report": ("execute-sql", "cron(0 8 * * ? *)", ("SELECT 2",)),
    "reductions-dia-send-claimant-lists": (
        "reductions-send-claimant-lists",
        "cron(0 4 ? * MON-FRI *)",
        ("--steps=DIA",),
    ),
    "reductions-dua-send-claimant-lists": (
        "reductions-send-claimant-lists",
        "cron(0 4 * * ? *)",
        ("--steps=DUA",),
    ),
    "reductions-process-agency-data": ("reductions-process-agency-data", "cron(0/15 4-22 * * ? *)", ()),
    "pub-payments-process-fineos": ("pub-payments-process-fineos", "cron(0 23 ? * SUN-THU *)", ()),
    "weekend-pub-claimant-extract": (
        "pub-payments-process-fineos",
        "cron(0 6 ? * SAT,SUN *)",
        ("--steps=a", "--steps=b"),
    ),
    "fineos-import-la-units": ("fineos-import-la-units", "cron(0 22 ? * SUN-THU *)", ()),
    "weekend-fineos-import-la-units": ("fineos-import-la-units", "cron(0 5 ? * SAT,SUN *)", ()),
    "fineos-snapshot-extracts-tool": ("fineos-bucket-tool", "cron(0 3 ? * WED *)", ("--copy",)),
    "pub-payments-process-snapshot": ("pub-payments-process-snapshot", "cron(0 6 ? * WED *)", ()),
    "pub-payments-copy-audit-report": ("pub-payments-copy-audit-report", "cron(0 4 ? * MON-FRI *)", ()),
    "fineos-import-employee-updates": ("fineos-import-employee-updates", "cron(30 12 * * ? *)", ()),
}
TRIGGERS = {
    "on-audit-report": ("pub-payments-create-pub-files", "reports", "dfml-responses/Payment-Audit-Report", ""),
    "on-pub-return": ("pub-payments-process-pub-returns", "agency", "pub/inbound/", ".OK"),
    "on-processed": (
        "fineos-import-iaww",
        "agency",
        "reports/processed/",
        "pub-payments-process-fineos.SUCCESS",
    ),
}


def make_catalog() -> Catalog:
    """Return the full catalog, with the nightly workflow as the target of the nineteenth schedule."""
    catalog = Catalog("paid-leave-api", image=Image("paid-leave-api"))
    buckets = {name: catalog.bucket(name) for name in ("agency", "reports", "bi", "export")}
    failures = catalog.topic("task-failures")
    tasks: dict[str, Task] = {}
    for name, (cpu, memory, groups, used) in TASKS.items():
        variables = {variable: "value" for group in groups for variable in GROUPS[group][0]}
        secrets = {variable: secret for group in groups for variable, secret in GROUPS[group][1].items()}
        # Each task has a settings class of its own, as real jobs do.
        fields = {variable.lower(): (str, "") for variable in variables}
        fields |= {variable.lower(): (SecretStr | None, None) for variable in secrets}
        config = _settings(name, fields)
        tasks[name] = catalog.task(
            name,
            command=[name],
            accepts_args=True,
            config=config,
            env=variables,
            secrets=secrets,
            grants=[buckets[bucket].read_write("folder/*") for bucket in used.split()],
            size=Size(cpu, memory),
            scratch=1,
        )
    etl = catalog.workflow(
        "dor-fineos-etl",
        Steps(
            RunTask(tasks["fineos-import-employee-updates"]),
            RunTask(tasks["dor-import"]),
            ForEach(
                (1, 2, 3),
                RunTask(tasks["load-employers-to-fineos"], args=["--process-id", Item()]),
            ),
            RunTask(tasks["fineos-eligibility-feed-export"]),
        ),
        retry=Retry(attempts=2),
        timeout=timedelta(hours=8),
        on_failure=Notify(failures),
    )
    zone = "America/New_York"
    for name, (target, expression, args) in SCHEDULES.items():
        catalog.schedule(name, tasks[target], expression, timezone=zone, args=args)
    catalog.schedule("dor-fineos-etl", etl, "cron(30 0 * * ? *)", timezone=zone)
    for name, (target, bucket, prefix, suffix) in TRIGGERS.items():
        catalog.object_trigger(name, tasks[target], bucket=buckets[bucket], prefix=prefix, suffix=suffix)
    return catalog


def _settings(name: str, fields: dict[str, tuple[Any, Any]]) -> type[AnySettings]:
    from pydantic import create_model

    return create_model(name.replace("-", "_"), __base__=AnySettings, **fields)  # type: ignore[call-overload,no-any-return]  # dynamic


def make_environment(catalog: Catalog, **settings: str) -> Environment:
    """Return the environment of the catalog, with further settings of ``[aws]``."""
    text = ENVIRONMENT.replace('[settings]\nmode = "a ${literal} b"\n', "").replace(
        "[aws.buckets.inbox]", "[aws.buckets.agency]"
    )
    for name, value in settings.items():
        text = text.replace("[aws]\n", f'[aws]\n{name} = "{value}"\n', 1)
    text += '\n[aws.buckets.reports]\nname = "org-test-reports"\nnotifications = "ours"\n'
    text += NOTICES.replace("notices.failures", "notices.task-failures")
    return parse("test", text, catalog, Path("environments/test.toml"))
