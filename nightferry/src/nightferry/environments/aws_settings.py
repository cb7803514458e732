"""The ``[aws]`` table of ``environments/NAME.toml``: the existing AWS resources that an environment refers to."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Account = Annotated[str, Field(pattern=r"^\d{12}$")]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-\d$")]
SecurityGroup = Annotated[str, Field(pattern=r"^sg-[0-9a-f]{8,17}$")]
Subnet = Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")]
Arn = Annotated[str, Field(pattern=r"^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:\d{12}:.+$")]
Policy = Annotated[str, Field(pattern=r"^arn:[a-z-]+:iam::(\d{12}|aws):policy/.+$")]
AlarmTopic = Annotated[str, Field(pattern=r"^(arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:.+|[a-z][a-z0-9-]*)$")]
RunbookPage = Annotated[str, Field(pattern=r"^https://[^\s#<>|\"'`]{1,200}$")]
BucketName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]

# CloudWatch Logs accepts only these retention times, in days (API reference, PutRetentionPolicy).
_RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)

# Region prefix → partition (AWS General Reference, "ARNs"); all other regions are in "aws".
_PARTITIONS = {"us-gov-": "aws-us-gov", "cn-": "aws-cn", "us-isob-": "aws-iso-b", "us-iso-": "aws-iso"}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, defer_build=True)


class ExistingBucket(_Table):
    """A bucket on AWS that the deployment uses but does not create."""

    name: BucketName = Field(description="The bucket's full name.")
    notifications: Literal["ours", "shared"] = Field(
        default="shared",
        description="'ours': this deployment owns the bucket's single notification configuration, so triggers may use "
        "Lambda. 'shared': other deployments may have notifications on it, so only via=\"eventbridge\" is safe.",
    )
    key: Arn | None = Field(
        default=None, description="KMS key of the bucket's objects, unless S3 encrypts them with its own key."
    )


class Alarms(_Table):
    """The runbook, and the topics for alarms by severity: ARNs of existing topics, or names of the catalog's."""

    high: AlarmTopic | None = Field(default=None, description="Topic that pages the on-call person.")
    low: AlarmTopic | None = Field(default=None, description="Topic that is read on the next working day.")
    runbook: RunbookPage | None = Field(
        default=None,
        description="Address of the page that has a heading for each kind of alarm. Each alarm's description ends with "
        "the address of its heading, such as https://docs.example.org/on-call/#task-failed.",
    )

    @property
    def existing(self) -> list[str]:
        """The ARNs of the topics that exist outside of the deployment."""
        return sorted({topic for topic in (self.high, self.low) if topic is not None and topic.startswith("arn:")})

    @property
    def declared(self) -> dict[str, str]:
        """The catalog's topics by severity."""
        topics = {"high": self.high, "low": self.low}
        return {severity: topic for severity, topic in topics.items() if topic and not topic.startswith("arn:")}


class NewRelicForwarder(_Table):
    """A log forwarder that this deployment creates, for accounts without one."""

    license_key: str = Field(
        min_length=1, description="Parameter that holds New Relic's license key; named like a secret."
    )
    log_api_url: Annotated[str, Field(pattern=r"^https://[^\s/]+/log/v1$")] | None = Field(
        default=None,
        description="Log API, which only FedRAMP requires: https://gov-log-api.newrelic.com/log/v1",
    )


class TerraformState(_Table):
    """Terraform's S3 backend, locked with a file next to the state."""

    bucket: BucketName = Field(description="Bucket of the state.")
    region: Region = Field(description="Region of that bucket.")
    key: str | None = Field(
        default=None, description="Object key; default: {application}/{environment}/ecs-tasks.tfstate"
    )


class Egress(_Table):
    """One named destination that tasks may connect to: exactly one of a range, a security group or a prefix list."""

    cidr: IPv4Network | None = Field(default=None, description="IPv4 range, such as 10.0.0.0/8.")
    security_group: SecurityGroup | None = Field(
        default=None, description="Security group of the destination, such as that of the VPC's interface endpoints."
    )
    prefix_list: Annotated[str, Field(pattern=r"^pl-[0-9a-f]{8,17}$")] | None = Field(
        default=None, description="Prefix list, such as that of S3 in the region, which its gateway endpoint serves."
    )
    port: int = Field(default=443, ge=1, le=65535, description="TCP port.")

    @model_validator(mode="after")
    def _check_single_destination(self) -> Egress:
        if sum(one is not None for one in (self.cidr, self.security_group, self.prefix_list)) != 1:
            raise ValueError("a destination has exactly one of cidr, security_group and prefix_list")
        return self


class Operators(_Table):
    """A group of people who may start tasks and workflows, and nothing beyond what the table states."""

    tasks: tuple[str, ...] = Field(default=(), description="Tasks that the group may start and stop.")
    workflows: tuple[str, ...] = Field(default=(), description="Workflows that the group may start, redrive and stop.")


class AwsSettings(_Table):
    """The ``[aws]`` table: account, network and the resources that exist before the first ``terraform apply``."""

    account: Account = Field(
        description="Account number, twelve digits. A plan with credentials of another account fails."
    )
    region: Region = Field(description="Region of the account, such as us-east-1.")
    cluster: str = Field(min_length=1, description="Name of the ECS cluster.")
    vpc: Annotated[str, Field(pattern=r"^vpc-[0-9a-f]{8,17}$")] = Field(
        description="ID of the VPC, such as vpc-0123456789abcdef0."
    )
    subnets: tuple[Subnet, ...] = Field(
        min_length=1, max_length=16, description="Private subnets of the tasks, at least one."
    )
    database_security_group: SecurityGroup | None = Field(
        default=None,
        description="Security group of the database, if there is one. Connections from tasks to its port are allowed "
        "in both groups.",
    )
    database_port: int = Field(default=5432, ge=1, le=65535, description="Port of the database.")
    database_resource_id: str | None = Field(
        default=None,
        pattern=r"^(db|cluster)-[A-Z0-9]+$",
        description="Resource ID of the database (db-… or cluster-…). Required if a task has no password for its "
        "database user, because it then logs in with an IAM token.",
    )
    permissions_boundary: Policy | None = Field(
        default=None,
        description="ARN of the policy that limits all roles of the deployment, arn:aws:iam::ACCOUNT:policy/NAME. The "
        "deploy role may then create roles only with it.",
    )
    guardduty_agent: Annotated[str, Field(pattern=r"^arn:[a-z-]+:ecr:[a-z0-9-]+:\d{12}:repository/.+$")] | None = Field(
        default=None,
        description="ARN of the ECR repository of GuardDuty's agent in this region, if Runtime Monitoring adds it to "
        "the tasks: arn:aws:ecr:REGION:ACCOUNT:repository/aws-guardduty-agent-fargate",
    )
    bucket_prefix: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")] | None = Field(
        default=None, description="Prefix of bucket names: {bucket_prefix}-{environment}-{name}."
    )
    buckets: dict[str, ExistingBucket] = Field(
        default_factory=dict,
        description="Buckets whose names have no bucket_prefix, or whose notifications this deployment owns.",
    )
    parameters: str = Field(
        default="/service/{application}/{environment}",
        pattern=r"^/",
        description="Path of the secrets in the parameter store.",
    )
    parameters_key: Arn | None = Field(
        default=None, description="KMS key of the secrets; default: the account's default key."
    )
    secrets: tuple[str, ...] = Field(
        default=(),
        description="Optional secrets that exist in this environment. A task receives an optional secret only if it is "
        "listed.",
    )
    log_retention_days: int = Field(
        default=365,
        description=f"Days to retain logs, one of {', '.join(map(str, _RETENTIONS))}. Schedules and object triggers "
        "require 14 or more, because the redrive of a dead letter searches the state changes for an earlier start.",
    )
    log_quiet_seconds: float = Field(
        default=12,
        gt=0,
        description="Seconds without a new line after which the log of a stopped task is complete. awslogs sends "
        "lines every 5 seconds, and ingestion takes several more.",
    )
    log_key: Arn | None = Field(default=None, description="KMS key of the log groups.")
    log_forwarder: Arn | None = Field(default=None, description="ARN of the Lambda function that forwards logs.")
    new_relic_forwarder: NewRelicForwarder | None = Field(
        default=None, description="Create a function that forwards logs to New Relic, instead of log_forwarder."
    )
    alarms: Alarms = Field(
        default_factory=Alarms,
        description="Topics that receive alarms. If only one is set, it receives all alarms; without one, no alarm "
        "notifies anybody.",
    )
    egress: dict[str, Egress] = Field(
        default_factory=dict,
        description="Additional destinations of the tasks, by name. The names https and database are reserved.",
    )
    https_anywhere: bool = Field(
        default=True,
        description="Let tasks connect to port 443 of all addresses. Set false if egress names the endpoints, prefix "
        "lists and addresses of all services that the tasks use.",
    )
    operators: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")], Operators] = Field(
        default_factory=dict,
        description="Who may start what: the policy of each group of people, operators-GROUP-role-policy-*.json.",
    )
    state: TerraformState | None = Field(
        default=None,
        description="Terraform's S3 backend, with a lock file next to the state. Default: a local state file.",
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of every resource.")

    @property
    def partition(self) -> str:
        """``aws``, or the partition of the region if it is in China, GovCloud or an isolated partition."""
        return next((name for prefix, name in _PARTITIONS.items() if self.region.startswith(prefix)), "aws")

    @field_validator("log_retention_days")
    @classmethod
    def _check_retention(cls, days: int) -> int:
        if days not in _RETENTIONS:
            raise ValueError(
                f"CloudWatch Logs supports only these retention times: {', '.join(map(str, _RETENTIONS))} days"
            )
        return days

    @field_validator("egress")
    @classmethod
    def _check_egress_names(cls, egress: dict[str, Egress]) -> dict[str, Egress]:
        if taken := sorted({"https", "database"} & egress.keys()):
            raise ValueError(f"reserved destination name: {' and '.join(taken)}; choose another name")
        return egress

    @field_validator("new_relic_forwarder")
    @classmethod
    def _check_single_forwarder(
        cls, ours: NewRelicForwarder | None, others: ValidationInfo
    ) -> NewRelicForwarder | None:
        if ours is not None and others.data.get("log_forwarder") is not None:
            raise ValueError("log_forwarder is also set, and each would forward every line; remove one of them")
        return ours
