"""The toy project with an environment on AWS."""

from __future__ import annotations

from pathlib import Path

from tests.local.toy import make_project

ON_AWS = """
backend = "aws"
[aws]
account = "123456789012"
region = "us-east-1"
cluster = "toy-test"
vpc = "vpc-0a1b2c3d4e5f60001"
subnets = ["subnet-0a1b2c3d4e5f60a01"]
database_security_group = "sg-0a1b2c3d4e5f60001"
bucket_prefix = "example"
"""


def make_aws_project(root: Path, log_quiet_seconds: float = 12) -> Path:
    """Write the project's files."""
    make_project(root)
    deployed = f"{ON_AWS}log_quiet_seconds = {log_quiet_seconds}\n"
    (root / "environments" / "test.toml").write_text(deployed + '[settings]\ncolor = "blue"\n')
    return root
