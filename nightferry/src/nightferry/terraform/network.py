"""The tasks' security group: egress by declaration, the database's ingress, and what run-ecs-task needs to know."""

from __future__ import annotations

from nightferry.terraform.document import Document, expression, slug
from nightferry.terraform.names import Names


def build(names: Names) -> Document:
    """``network.tf.json``."""
    document = Document(
        "Network. Tasks have no public address and accept no connection. They may open HTTPS (AWS, the vendor), the "
        "database and the destinations that the environment names."
    )
    group = document.resource(
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
    document.resource(
        "aws_vpc_security_group_egress_rule",
        "https",
        {
            "security_group_id": own,
            "description": "HTTPS: AWS services and the vendor, whose addresses change.",
            "cidr_ipv4": "0.0.0.0/0",
            "ip_protocol": "tcp",
            "from_port": 443,
            "to_port": 443,
        },
    )
    port = names.aws.database_port
    document.resource(
        "aws_vpc_security_group_egress_rule",
        "database",
        {
            "security_group_id": own,
            "description": "The Paid Leave database.",
            "referenced_security_group_id": names.aws.database_security_group,
            "ip_protocol": "tcp",
            "from_port": port,
            "to_port": port,
        },
    )
    document.resource(
        "aws_vpc_security_group_ingress_rule",
        "database",
        {
            "//": "A rule on the database's own group, which exists already; only this rule is ours.",
            "security_group_id": names.aws.database_security_group,
            "description": f"Background tasks of {names.prefix}.",
            "referenced_security_group_id": own,
            "ip_protocol": "tcp",
            "from_port": port,
            "to_port": port,
        },
    )
    for name, destination in sorted(names.aws.egress.items()):
        document.resource(
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
    document.resource(
        "aws_ssm_parameter",
        "network",
        {
            "//": "run-ecs-task reads this, so that nobody needs the Terraform state to run a task by hand.",
            "name": names.naming.network_parameter,
            "description": "Where background tasks run: cluster, subnets, security groups.",
            "type": "String",
            "value": expression(
                "jsonencode({cluster = data.aws_ecs_cluster.this.arn, subnets = local.subnets, "
                "security_groups = [aws_security_group.tasks.id], log_group = aws_cloudwatch_log_group.tasks.name})"
            ),
        },
    )
    return document
