"""Names of resources on AWS, and the catalog's references as Terraform expressions."""

from __future__ import annotations

import re
from typing import Any

from nightferry.catalog.references import Reference, find_references, substitute
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import EnvironmentFileError
from nightferry.terraform.document import expression, literal, slug


class Names(AwsResources):
    """The naming rules of an application in an environment, and the resolution of its references in Terraform."""

    @property
    def prefix(self) -> str:
        """The prefix of all resource names: ``{application}-{environment}``."""
        return self.naming.prefix

    @property
    def log_group(self) -> str:
        """The log group of all tasks."""
        return self.naming.log_group

    @property
    def metric_namespace(self) -> str:
        """The namespace of the metrics from log filters."""
        return f"Nightferry/{self.prefix}"

    @property
    def tags(self) -> dict[str, str]:
        """The tags of all resources."""
        application = {"application": self.catalog.name, "environment": self.environment.name}
        return {**application, "managed-by": "nightferry", **dict(sorted(self.aws.tags.items()))}

    @property
    def own_tags(self) -> dict[str, str]:
        """The tags that distinguish the resources of the environment, and its running tasks, from all others."""
        return {name: self.tags[name] for name in ("application", "environment")}

    @property
    def state_key(self) -> str:
        """The object with Terraform's state in the bucket ``[aws.state]``."""
        key = self.aws.state.key if self.aws.state is not None else None
        return key or f"{self.catalog.name}/{self.environment.name}/ecs-tasks.tfstate"

    def family(self, task: str) -> str:
        """Return the family of a task's definitions."""
        return self.naming.family(task)

    def definition_arn(self, task: str) -> str:
        """Return the expression of a task definition without a revision, which starts the newest revision."""
        return expression(f"module.task_{slug(task)}.definition_arn")

    def role_arns(self, task: str) -> list[str]:
        """Return the expressions of a task's role and of its execution role."""
        return [expression(f"module.task_{slug(task)}.{output}") for output in ("role_arn", "execution_role_arn")]

    def add_prefix(self, name: str, max_length: int, subject: str) -> str:
        """Return ``{prefix}-{name}`` for a ``subject`` whose name may have at most ``max_length`` characters.

        Raises:
            EnvironmentFileError: The name is too long.
        """
        full = f"{self.prefix}-{name}"
        if len(full) > max_length:
            raise EnvironmentFileError(
                f"{self.environment.file}: the name {full} of {subject} has {len(full)} characters, and AWS allows "
                f"{max_length}. Shorten its name, or that of the application or the environment."
            )
        return full

    def resolve(self, value: Any) -> Any:
        """Return ``value`` with each reference of the catalog replaced with a value or a Terraform expression."""
        return substitute(_escape_literals(value), self._resolve_reference)

    def resolve_in_template(self, value: Any) -> Any:
        """Return ``value`` resolved for a template file, which can only use :meth:`template_variables`."""
        variables = {reference: name for name, reference in self.template_variables(value).items()}

        def resolve(reference: Reference) -> Any:
            if reference not in variables:
                return self._resolve_reference(reference)
            variable = expression(variables[reference])
            return [variable] if reference.kind == "security_groups" else variable

        return substitute(_escape_literals(value), resolve)

    def template_variables(self, value: Any) -> dict[str, Reference]:
        """Return the references in ``value`` that only Terraform can resolve, by the names of their variables."""
        return {
            slug(f"{reference.kind}_{reference.name}".rstrip("_")): reference
            for reference in sorted(find_references(value), key=str)
            if reference.kind in ("task", "topic", "workflow", "cluster", "security_groups")
        }

    def _resolve_reference(self, reference: Reference) -> Any:
        match reference.kind:
            case "setting":
                return literal(self.environment.settings[reference.name])
            case "bucket":
                return f"s3://{self.bucket(reference.name).name}"
            case "environment":
                return self.environment.name
            case "task":
                return self.definition_arn(reference.name)
            case "topic":
                return expression(f"aws_sns_topic.{slug(reference.name)}.arn")
            case "workflow":
                return expression(f"aws_sfn_state_machine.{slug(reference.name)}.arn")
            case "function":
                return self._resolve_reference(Reference("setting", self.catalog.functions[reference.name].arn.name))
            case "cluster":
                return expression("data.aws_ecs_cluster.this.arn")
            case "subnets":
                return list(self.aws.subnets)
            case "security_groups":
                return [expression("aws_security_group.tasks.id")]
        raise EnvironmentFileError(
            f"{self.environment.file}: '{reference}' exists only on the local backend. Set the value itself in an "
            "environment on AWS."
        )


_LITERAL = re.compile(r"\$\$\{|\$\{(?![a-z_]+(?::[^{}]+)?\})")


def _escape_literals(value: Any) -> Any:
    """Return ``value`` with its literal ``${`` and ``%{`` escaped for Terraform templates.

    A literal ``${`` is written ``$${``, or does not name a reference, such as ``${1:-0}`` in a shell's command.
    """
    if isinstance(value, str):
        return _LITERAL.sub("$$${", value).replace("%{", "%%{")
    if isinstance(value, dict):
        return {_escape_literals(key): _escape_literals(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escape_literals(item) for item in value]
    return value
