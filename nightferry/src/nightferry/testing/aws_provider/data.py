"""Data sources: existing resources that a configuration refers to."""

from __future__ import annotations

from collections.abc import Callable

from nightferry.terraform.provider.server import ProviderError
from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Values, from_tags


def _caller_identity(aws: Clients, config: Values) -> Values:
    caller = aws("sts").get_caller_identity()
    return {
        "id": caller["Account"],
        "account_id": caller["Account"],
        "arn": caller["Arn"],
        "user_id": caller["UserId"],
    }


def _partition(aws: Clients, config: Values) -> Values:
    return {"id": "aws", "partition": "aws", "dns_suffix": "amazonaws.com", "reverse_dns_prefix": "com.amazonaws"}


def _region(aws: Clients, config: Values) -> Values:
    return {
        "id": aws.region,
        "name": aws.region,
        "region": aws.region,
        "endpoint": f"ec2.{aws.region}.amazonaws.com",
        "description": aws.region,
    }


def _ecs_cluster(aws: Clients, config: Values) -> Values:
    name = config["cluster_name"]
    clusters = aws("ecs").describe_clusters(clusters=[name], include=["TAGS", "SETTINGS", "CONFIGURATIONS"])["clusters"]
    if not clusters or clusters[0].get("status") == "INACTIVE":
        raise ProviderError(f"reading ECS Cluster ({name}): couldn't find resource")
    found = clusters[0]
    return {
        "id": found["clusterArn"],
        "arn": found["clusterArn"],
        "status": found["status"],
        "pending_tasks_count": found.get("pendingTasksCount", 0),
        "running_tasks_count": found.get("runningTasksCount", 0),
        "registered_container_instances_count": found.get("registeredContainerInstancesCount", 0),
        "service_connect_defaults": [],
        "setting": [],
        "tags": from_tags(found.get("tags"), "key", "value"),
    }


def _ecr_repository(aws: Clients, config: Values) -> Values:
    ecr = aws("ecr")
    found = ecr.describe_repositories(repositoryNames=[config["name"]])["repositories"][0]
    return {
        "id": found["repositoryName"],
        "arn": found["repositoryArn"],
        "registry_id": found["registryId"],
        "repository_url": found["repositoryUri"],
        "image_tag_mutability": found.get("imageTagMutability"),
        "encryption_configuration": [],
        "image_scanning_configuration": [],
        "image_tag_mutability_exclusion_filter": [],
        "most_recent_image_tags": [],
        "tags": from_tags(ecr.list_tags_for_resource(resourceArn=found["repositoryArn"]).get("tags")),
    }


def _ssm_parameter(aws: Clients, config: Values) -> Values:
    ssm = aws("ssm")
    try:
        found = ssm.get_parameter(Name=config["name"], WithDecryption=config["with_decryption"] is not False)
    except ssm.exceptions.ParameterNotFound:
        raise ProviderError(f"reading SSM Parameter ({config['name']}): couldn't find resource") from None
    parameter = found["Parameter"]
    secret = parameter["Type"] == "SecureString"
    return {
        "id": parameter["Name"],
        "arn": parameter.get("ARN"),
        "type": parameter["Type"],
        "value": parameter["Value"],
        "insecure_value": None if secret else parameter["Value"],
        "version": parameter["Version"],
    }


def _vpc(aws: Clients, config: Values) -> Values:
    ec2 = aws("ec2")
    found = ec2.describe_vpcs(VpcIds=[config["id"]])["Vpcs"][0]
    for attribute in ("enableDnsHostnames", "enableDnsSupport", "enableNetworkAddressUsageMetrics"):
        ec2.describe_vpc_attribute(VpcId=config["id"], Attribute=attribute)
    ec2.describe_route_tables(
        Filters=[{"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [config["id"]]}]
    )
    return {
        "id": found["VpcId"],
        "arn": f"arn:aws:ec2:{aws.region}:{found.get('OwnerId') or aws.account()}:vpc/{found['VpcId']}",
        "cidr_block": found["CidrBlock"],
        "cidr_block_associations": [],
        "state": found.get("State"),
        "default": found.get("IsDefault", False),
        "owner_id": found.get("OwnerId"),
        "tags": from_tags(found.get("Tags")),
    }


DATA: dict[str, Callable[[Clients, Values], Values]] = {
    "aws_caller_identity": _caller_identity,
    "aws_ecr_repository": _ecr_repository,
    "aws_ecs_cluster": _ecs_cluster,
    "aws_partition": _partition,
    "aws_region": _region,
    "aws_ssm_parameter": _ssm_parameter,
    "aws_vpc": _vpc,
}
"""Implemented data sources by name; the provider itself evaluates policy documents and archives."""
