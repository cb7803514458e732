"""The security group of the tasks, its rules, and the parameter that run-ecs-task reads."""

from __future__ import annotations

from nightferry.errors import EnvironmentFileError
from nightferry.terraform.document import Document, expression, slug
from nightferry.terraform.names import Names

_PORT_VARIABLE = "DB_PORT"


def build(names: Names) -> Document:
    """Build ``network.tf.json``."""
    document = Document(
        "Network. Tasks have no public address and accept no connections. They may connect to HTTPS"
        + (", to the database" if names.aws.database_security_group else "")
        + " and to the destinations that the environment names."
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
    document.add_resource(
        "aws_vpc_security_group_egress_rule",
        "https",
        {
            "security_group_id": own,
            "description": "HTTPS to AWS and other services, whose addresses change.",
            "cidr_ipv4": "0.0.0.0/0",
            "ip_protocol": "tcp",
            "from_port": 443,
            "to_port": 443,
        },
    )
    if names.aws.database_security_group is not None:
        _add_database_rules(document, names, own, names.aws.database_security_group)
    for name, destination in sorted(names.aws.egress.items()):
        document.add_resource(
            "aws_vpc_security_group_egress_rule",
            slug(name),
            {
                "security_group_id": own,
                "description": f"{name}.",
                "cidr_ipv4": str(destination.cidr),
                "ip_protocol": "tcp",
                "from_port": destination.port,
                "to_port": destination.port,
            },
        )
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
