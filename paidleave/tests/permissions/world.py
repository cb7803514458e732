"""The test environment on an emulated AWS with IAM enforced, with its database, and with the vendor's systems."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from nightferry.environments.project import Project
from nightferry.local.services.postgres import Postgres
from nightferry.testing.aws_provider.deployment import Deployment
from nightferry.testing.iam.account import EnforcedAccount
from nightferry.testing.iam.agent import Agent
from nightferry.testing.iam.database import RdsServer
from nightferry.testing.iam.services import Services
from tests.fineos.conftest import CLIENT, RunningSimulator, run_simulator

PROJECT = Project.find(Path(__file__).parent)
VENDOR_ACCOUNT = "333333333333"
PASSWORD = "a secret of this test"
SECRETS = {"fineos-oauth2-client-secret": CLIENT[1]}
IMAGE = "first"
NO_NEW_RELIC = {"NEW_RELIC_LICENSE_KEY": "", "NEW_RELIC_INSERT_API_KEY": ""}  # its collector cannot be reached


Place = tuple[str, str]
"""The bucket and the key of an object."""


@dataclass(frozen=True)
class SavedState:
    """The objects with their content and tags, and the name of a copy of the database."""

    etags: dict[Place, str]
    objects: dict[Place, tuple[bytes, str]]
    database: str


@dataclass
class World:
    """The deployed environment. ``services`` start its tasks, and ``put`` stores objects of other systems."""

    deployment: Deployment
    account: EnforcedAccount
    services: Services
    agent: Agent
    vendor: RunningSimulator
    postgres: Postgres
    folder: Path
    _databases: int = 0

    @property
    def prefix(self) -> str:
        return self.deployment.resources.naming.prefix

    def bucket(self, name: str) -> str:
        return str(self.deployment.resources.bucket(name).name)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store an object of another system, with the tag of a scan."""
        self.account.administer("s3").put_object(
            Bucket=self.bucket(bucket), Key=key, Body=content, Tagging="GuardDutyMalwareScanStatus=NO_THREATS_FOUND"
        )

    def scan(self) -> None:
        """Tag all objects, as GuardDuty Malware Protection tags each object that it has scanned."""
        tags = {"TagSet": [{"Key": "GuardDutyMalwareScanStatus", "Value": "NO_THREATS_FOUND"}]}
        for bucket, key in self._list():
            self.account.administer("s3").put_object_tagging(Bucket=bucket, Key=key, Tagging=tags)

    def keys_in(self, bucket: str, prefix: str = "") -> list[str]:
        found = self.account.administer("s3").list_objects_v2(Bucket=self.bucket(bucket), Prefix=prefix)
        return [one["Key"] for one in found.get("Contents", [])]

    def connect(self) -> psycopg.Connection[Any]:
        """Connect to the database as the server's superuser."""
        return psycopg.connect(self.postgres.conninfo(self.agent.variables["DB_NAME"]), autocommit=True)

    def fire(self, schedule: str) -> None:
        self.services.fire(self.prefix, f"{self.prefix}-{schedule}")

    def run(self, task: str, *command: str, **variables: str) -> None:
        self.services.run_task(f"{self.prefix}-{task}", list(command), **variables)

    def trigger(self, name: str) -> str:
        return f"{self.prefix}-{name}-trigger"

    def machine(self, workflow: str) -> str:
        resources = self.deployment.resources
        name = resources.naming.state_machine(workflow)
        return f"arn:aws:states:{resources.aws.region}:{resources.aws.account}:stateMachine:{name}"

    def save(self) -> SavedState:
        """Return the objects and a copy of the database."""
        objects = self._list()
        content = {place: self._read(*place) for place in objects}
        return SavedState(objects, content, self._copy_database(self.agent.variables["DB_NAME"]))

    def restore(self, state: SavedState) -> None:
        """Restore the objects, and use a new copy of the saved database."""
        s3 = self.account.administer("s3")
        now = self._list()
        for bucket, key in now.keys() - state.etags.keys():
            s3.delete_object(Bucket=bucket, Key=key)
        for (bucket, key), etag in state.etags.items():
            if now.get((bucket, key)) != etag:
                content, tags = state.objects[bucket, key]
                s3.put_object(Bucket=bucket, Key=key, Body=content, Tagging=tags)
        replaced = self.agent.variables["DB_NAME"]
        self.agent.variables["DB_NAME"] = self._copy_database(state.database)
        self._drop_database(replaced)

    def discard(self, state: SavedState) -> None:
        """Delete the copy of the database."""
        self._drop_database(state.database)

    def _copy_database(self, template: str) -> str:
        self._databases += 1
        name = f"pfml{self._databases}"
        with psycopg.connect(self.postgres.conninfo(), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [template]
            )
            statement = sql.SQL("CREATE DATABASE {} OWNER pfml TEMPLATE {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def _drop_database(self, name: str) -> None:
        with psycopg.connect(self.postgres.conninfo(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _list(self) -> dict[Place, str]:
        """Return the ETag of each object in each bucket."""
        return {
            (bucket, one["Key"]): one["ETag"]
            for bucket in map(self.bucket, PROJECT.catalog.buckets)
            for one in self.account.administer("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
        }

    def _read(self, bucket: str, key: str) -> tuple[bytes, str]:
        s3 = self.account.administer("s3")
        tags = s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content, "&".join(f"{tag['Key']}={tag['Value']}" for tag in tags)


def create_vendor_role(account: EnforcedAccount, deployment: Deployment) -> None:
    """Create the role with which the vendor gives our task roles access to its buckets."""
    settings = deployment.resources.environment.settings
    arn = settings["fineos.role_arn"]
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{deployment.resources.aws.account}:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": settings["fineos.role_external_id"]}},
    }
    buckets = [f"arn:aws:s3:::{deployment.resources.bucket(name).name}" for name in ("fineos-import", "fineos-export")]
    allow = {
        "Sid": "Exchange",
        "Effect": "Allow",
        "Action": ["s3:ListBucket", "s3:GetObject*", "s3:PutObject*", "s3:DeleteObject"],
        "Resource": [*buckets, *(f"{bucket}/*" for bucket in buckets)],
    }
    iam = account.client(f"arn:aws:iam::{VENDOR_ACCOUNT}:role/administrator", "iam")  # its account counts
    name = arn.rpartition("/")[2]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=_make_policy(trust))
    iam.put_role_policy(RoleName=name, PolicyName="exchange", PolicyDocument=_make_policy(allow))


def _make_policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def create_secrets(account: EnforcedAccount) -> None:
    """Create the parameters of all secrets, and the image."""
    ecs, ssm = account.administer("ecs"), account.administer("ssm")
    for family in ecs.list_task_definition_families()["families"]:
        (container,) = ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]["containerDefinitions"]
        for secret in container.get("secrets", []):
            name = secret["valueFrom"].partition(":parameter")[2]
            value = next((value for ending, value in SECRETS.items() if name.endswith(ending)), PASSWORD)
            ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
    manifest = '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'
    repository = PROJECT.catalog.image.repository
    account.administer("ecr").put_image(repositoryName=repository, imageTag=IMAGE, imageManifest=manifest)


def detach_forwarder(account: EnforcedAccount, deployment: Deployment) -> None:
    """Remove the subscription of the log forwarder, which another deployment owns."""
    logs, naming = account.administer("logs"), deployment.resources.naming
    for group in (naming.log_group, naming.event_group):
        for found in logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]:
            logs.delete_subscription_filter(logGroupName=group, filterName=found["filterName"])


def detach_triggers(account: EnforcedAccount, deployment: Deployment) -> None:
    """Remove the notifications of the buckets, which the tests deliver themselves."""
    for name in PROJECT.catalog.buckets:
        bucket = deployment.resources.bucket(name).name
        account.administer("s3").put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})


def create_account(url: str, deployment: Deployment) -> EnforcedAccount:
    """Return the account with the deployment, in which IAM is enforced from now on."""
    account = EnforcedAccount(url, deployment.resources.aws.region)
    create_secrets(account)
    create_vendor_role(account, deployment)
    detach_forwarder(account, deployment)
    detach_triggers(account, deployment)
    account.enforce()
    return account


@contextmanager
def make_world(url: str, deployment: Deployment, folder: Path) -> Iterator[World]:
    """Start the systems around a deployment."""
    with ExitStack() as stack:
        account = create_account(url, deployment)
        # temp_file_limit: as in the DB parameter group, which execute-sql requires.
        postgres = Postgres(folder / "pg", settings={"fsync": "off", "temp_file_limit": "4GB"})
        postgres.start()
        stack.callback(postgres.stop)
        with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:
            # On Amazon RDS, the master user is not a superuser.
            connection.execute("CREATE ROLE pfml LOGIN CREATEROLE CREATEDB")
            connection.execute("CREATE ROLE rds_iam NOLOGIN")
            connection.execute("GRANT rds_iam, pg_read_all_settings TO pfml WITH ADMIN OPTION")
            connection.execute("CREATE DATABASE pfml OWNER pfml TEMPLATE template0 ENCODING 'UTF8'")
        vendor = stack.enter_context(run_simulator(folder / "vendor"))
        resource = f"arn:aws:rds-db:{account.region}:{deployment.resources.aws.account}:dbuser:"
        resource += str(deployment.resources.aws.database_resource_id)

        def check(key: str, user: str) -> bool:
            return account.check(key, "rds-db:connect", f"{resource}/{user}")

        socket = f"{postgres.socket_directory}/.s.PGSQL.5432"
        rds = RdsServer(folder, socket, {"pfml": PASSWORD}, check)
        stack.callback(rds.stop)
        client = vendor.client_settings()
        agent = Agent(
            account,
            {
                "DB_HOST": "127.0.0.1",
                "DB_PORT": str(rds.port),
                "DB_NAME": "pfml",
                "FINEOS_CLIENT_WSCOMPOSER_API_URL": client["fineos_client_wscomposer_api_url"],
                "FINEOS_CLIENT_OAUTH2_URL": client["fineos_client_oauth2_url"],
                "FINEOS_CLIENT_OAUTH2_CLIENT_ID": CLIENT[0],
                "COUNT": "30",  # employers that dor-generate generates
                **NO_NEW_RELIC,
            },
        )
        services = Services(account, agent, deployment.resources.aws.cluster, deployment.root / ".terraform")
        yield World(deployment, account, services, agent, vendor, postgres, folder)
