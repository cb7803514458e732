"""The security group of the tasks, its rules, and the parameter that run-ecs-task reads."""

from __future__ import annotations

from nightferry.environments.aws_settings import Egress
from nightferry.errors import EnvironmentFileError
from nightferry.terraform.document import Document, expression, slug
from nightferry.terraform.names import Names

_PORT_VARIABLE = "DB_PORT"
_HTTPS = 443


def build(names: Names) -> Document:
    """Build ``network.tf.json``."""
    reached = [
        *(["HTTPS"] if names.aws.https_anywhere else []),
        *(["the database"] if names.aws.database_security_group else []),
        "the destinations that the environment names",
    ]
    document = Document(
        "Network. Tasks have no public address and accept no connections. They may connect to "
        f"{', '.join(reached[:-1])}{' and ' if reached[:-1] else ''}{reached[-1]}."
    )
    group = document.add_resource(
        "aws_security_group",
        "tasks",
        {
            "name": f"{names.prefix}-tasks",
            "description": "Background tasks: no ingress, egress by declaration.",
            "vpc_id": expression("data.aws_vpc.this.id"),
            "tags": {"Name": f"{names.prefix}-tasks"},
        },
    )
    own = expression(f"{group}.id")
    _add_https_rule(document, names, own)
    if names.aws.database_security_group is not None:
        _add_database_rules(document, names, own, names.aws.database_security_group)
    for name, destination in sorted(names.aws.egress.items()):
        _add_egress_rule(document, name, own, destination)
    document.add_resource(
        "aws_ssm_parameter",
        "network",
        {
            "//": "run-ecs-task reads this parameter, so that it does not need the Terraform state.",
            "name": names.naming.network_parameter,
            "description": "Cluster, subnets, security groups and log group of the background tasks.",
            "type": "String",
            "value": expression(
                "jsonencode({cluster = data.aws_ecs_cluster.this.arn, subnets = local.subnets, "
                "security_groups = [aws_security_group.tasks.id], log_group = aws_cloudwatch_log_group.tasks.name})"
            ),
        },
    )
    return document


def _add_https_rule(document: Document, names: Names, own: str) -> None:
    """Allow HTTPS to all addresses, unless the environment names the destinations. Raises EnvironmentFileError."""
    if names.aws.https_anywhere:
        document.add_resource(
            "aws_vpc_security_group_egress_rule",
            "https",
            {
                "//": "To all addresses, because those of AWS without VPC endpoints and of most other services change. "
                "If aws.egress names all destinations, aws.https_anywhere = false removes this rule.",
                "security_group_id": own,
                "description": "HTTPS to AWS and other services, whose addresses change.",
                "cidr_ipv4": "0.0.0.0/0",
                "ip_protocol": "tcp",
                "from_port": _HTTPS,
                "to_port": _HTTPS,
            },
        )
    elif all(destination.port != _HTTPS for destination in names.aws.egress.values()):
        raise EnvironmentFileError(
            f"{names.environment.locate('aws', 'https_anywhere')}: https_anywhere = false, but no destination in "
            f"aws.egress has port {_HTTPS}, so a task could not even pull its image. Add the security group of the VPC "
            "endpoints and the prefix list of S3 to aws.egress, or remove https_anywhere."
        )


def _add_egress_rule(document: Document, name: str, own: str, destination: Egress) -> None:
    targets = {
        "cidr_ipv4": destination.cidr and str(destination.cidr),
        "referenced_security_group_id": destination.security_group,
        "prefix_list_id": destination.prefix_list,
    }
    document.add_resource(
        "aws_vpc_security_group_egress_rule",
        slug(name),
        {
            "security_group_id": own,
            "description": f"{name}.",
            **{argument: value for argument, value in targets.items() if value is not None},
            "ip_protocol": "tcp",
            "from_port": destination.port,
            "to_port": destination.port,
        },
    )


def _check_database_port(names: Names) -> None:
    """Check that the tasks connect to the port that the security groups admit. Raises EnvironmentFileError."""
    port = names.aws.database_port
    for task in names.catalog.tasks.values():
        used = names.resolve({**names.catalog.env, **task.env}).get(_PORT_VARIABLE, str(port))
        if used != str(port):
            raise EnvironmentFileError(
                f"{names.environment.locate('aws', 'database_port')}: the security groups of the tasks and the "
                f"database admit port {port} (aws.database_port), but task '{task.name}' ({task.declared_in}) connects "
                f"to port {used} ({_PORT_VARIABLE}). Set both to the port of the database."
            )


def _add_database_rules(document: Document, names: Names, own: str, group: str) -> None:
    _check_database_port(names)
    port = names.aws.database_port
    document.add_resource(
        "aws_vpc_security_group_egress_rule",
        "database",
        {
            "security_group_id": own,
            "description": "Database.",
            "referenced_security_group_id": group,
            "ip_protocol": "tcp",
            "from_port": port,
            "to_port": port,
        },
    )
    document.add_resource(
        "aws_vpc_security_group_ingress_rule",
        "database",
        {
            "//": "A rule on the existing security group of the database, of which only this rule is managed here.",
            "security_group_id": group,
            "description": f"Background tasks of {names.prefix}.",
            "referenced_security_group_id": own,
            "ip_protocol": "tcp",
            "from_port": port,
            "to_port": port,
        },
    )
