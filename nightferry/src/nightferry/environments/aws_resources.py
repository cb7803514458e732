"""What the declarations refer to on AWS: the buckets, parameters and roles of one application in one environment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Secret, Task
from nightferry.contract import Naming
from nightferry.environments.aws_settings import AwsSettings, ExistingBucket
from nightferry.environments.environment import Environment
from nightferry.errors import EnvironmentFileError


@dataclass(frozen=True)
class AwsResources:
    """A catalogue in an environment on AWS."""

    catalog: Catalog
    environment: Environment

    @property
    def aws(self) -> AwsSettings:
        """The environment's ``[aws]`` table."""
        if self.environment.aws is None:
            raise EnvironmentFileError(
                f'{self.environment.file}: backend = "{self.environment.backend}" has nothing to deploy. '
                'Synthesis needs an environment with backend = "aws".'
            )
        return self.environment.aws

    @property
    def naming(self) -> Naming:
        """The names that others than Terraform must find too."""
        return Naming(self.catalog.name, self.environment.name)

    def bucket(self, name: str) -> ExistingBucket:
        """The existing bucket that a declared bucket stands for."""
        if name in self.aws.buckets:
            return self.aws.buckets[name]
        if self.aws.bucket_prefix is None:
            raise EnvironmentFileError(
                f"{self.environment.locate('aws')}: what is bucket '{name}' called here? Set aws.bucket_prefix, "
                f"or name it: [aws.buckets.{name}] name = …"
            )
        return ExistingBucket(name=f"{self.aws.bucket_prefix}-{self.environment.name}-{name}")

    def parameter(self, secret: Secret) -> str:
        """The full name of a secret in the parameter store."""
        if secret.name.startswith("/"):
            return secret.name
        path = self.aws.parameters.format(application=self.catalog.name, environment=self.environment.name)
        return f"{path.rstrip('/')}/{secret.name}"

    def secrets(self, task: Task) -> dict[str, Secret]:
        """The task's secrets that exist in this environment, by variable."""
        return {
            variable: secret
            for variable, secret in {**self.catalog.secrets, **task.secrets}.items()
            if self.exists(secret)
        }

    def exists(self, secret: Secret) -> bool:
        """Return True if the environment has the secret: it is required, or the environment lists it."""
        return not secret.optional or secret.name in self.aws.secrets

    def arn(self, service: str, resource: str) -> str:
        """An ARN in this account and region."""
        return f"arn:{self.aws.partition}:{service}:{self.aws.region}:{self.aws.account}:{resource}"

    def global_arn(self, service: str, resource: str, *, account: bool = True) -> str:
        """An ARN of a service without regions."""
        return f"arn:{self.aws.partition}:{service}::{self.aws.account if account else ''}:{resource}"

    def role_name(self, called: str) -> str:
        """``{prefix}-{called}``. IAM takes 64 characters: a longer name is cut, and a digest keeps it unique."""
        full = f"{self.naming.prefix}-{called}"
        if len(full) > 64:
            full = f"{full[:55].rstrip('-')}-{hashlib.sha256(full.encode()).hexdigest()[:8]}"
        return full
