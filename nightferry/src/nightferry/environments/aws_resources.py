"""The buckets, parameters and roles on AWS that one application's declarations refer to in one environment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Secret, Task
from nightferry.catalog.references import Reference, substitute
from nightferry.contract import PARAMETER_PATH, Naming
from nightferry.environments.aws_settings import AwsSettings, ExistingBucket
from nightferry.environments.environment import Environment
from nightferry.errors import EnvironmentFileError

QUEUES = ("triggers", "schedules", "failure-notices", "retries", "logs")
"""The short names of the dead-letter queues of a deployment, apart from those of notices to chats: TOPIC-CHAT."""


@dataclass(frozen=True)
class AwsResources:
    """The AWS names of a catalog's resources in one environment."""

    catalog: Catalog
    environment: Environment

    @property
    def aws(self) -> AwsSettings:
        """The environment's ``[aws]`` table. Raises EnvironmentFileError without one."""
        if self.environment.aws is None:
            raise EnvironmentFileError(
                f'{self.environment.file}: backend = "{self.environment.backend}" cannot be deployed. '
                'Use an environment with backend = "aws".'
            )
        return self.environment.aws

    @property
    def naming(self) -> Naming:
        """The resource names that Terraform and the toolkit must agree on."""
        return Naming(self.catalog.name, self.environment.name)

    def bucket(self, name: str) -> ExistingBucket:
        """Return the AWS bucket of a declared bucket. Raises EnvironmentFileError if the environment names none."""
        if name in self.aws.buckets:
            return self.aws.buckets[name]
        if self.aws.bucket_prefix is None:
            raise EnvironmentFileError(
                f"{self.environment.locate('aws')}: no name for bucket '{name}'. Set aws.bucket_prefix, "
                f"or add [aws.buckets.{name}] with name = …"
            )
        return ExistingBucket(name=f"{self.aws.bucket_prefix}-{self.environment.name}-{name}")

    def parameter(self, secret: Secret) -> str:
        """Return the full name of a secret in the parameter store."""
        if secret.name.startswith("/"):
            return secret.name
        path = self.aws.parameters.format(application=self.catalog.name, environment=self.environment.name)
        return f"{path.rstrip('/')}/{secret.name}"

    @property
    def chat_notices(self) -> list[tuple[str, str, Secret]]:
        """The topic, the chat and the webhook's secret of each function that delivers notices to a chat."""
        return [
            (topic, chat, Secret(secret))
            for topic, recipients in self.environment.notices.items()
            for chat, secret in recipients.webhooks
        ]

    def secrets(self, task: Task) -> dict[str, Secret]:
        """Return the task's secrets that exist in this environment, by variable."""
        return {
            variable: secret
            for variable, secret in {**self.catalog.secrets, **task.secrets}.items()
            if self.exists(secret)
        }

    def exists(self, secret: Secret) -> bool:
        """Return True if the environment has the secret: it is required, or the environment lists it."""
        return not secret.optional or secret.name in self.aws.secrets

    def token_users(self, task: Task) -> list[str]:
        """Return the database users as which a task logs in with IAM tokens, because it receives no password."""
        logins: Mapping[str, str] = getattr(task.config, "database_logins", {})
        variables = {**self.catalog.env, **task.env}
        given = {*self.secrets(task), *(name.removesuffix(PARAMETER_PATH) for name in variables)}
        return sorted(
            str(substitute(self._find_user(task, variables, user), self._resolve_setting))
            for user, password in logins.items()
            if password.upper() not in given
        )

    def _find_user(self, task: Task, variables: Mapping[str, str], field: str) -> str:
        return variables.get(field.upper()) or str(task.config.model_fields[field].default)

    def _resolve_setting(self, reference: Reference) -> str:
        return self.environment.settings[reference.name]

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this account and region."""
        return f"arn:{self.aws.partition}:{service}:{self.aws.region}:{self.aws.account}:{resource}"

    def global_arn(self, service: str, resource: str, *, account: bool = True) -> str:
        """Return the ARN of a resource of a global service (no region)."""
        return f"arn:{self.aws.partition}:{service}::{self.aws.account if account else ''}:{resource}"

    def role_name(self, suffix: str) -> str:
        """Return ``{prefix}-{suffix}``, shortened to IAM's limit of 64 characters with a digest to keep it unique."""
        full = f"{self.naming.prefix}-{suffix}"
        if len(full) > 64:
            full = f"{full[:55].rstrip('-')}-{hashlib.sha256(full.encode()).hexdigest()[:8]}"
        return full
