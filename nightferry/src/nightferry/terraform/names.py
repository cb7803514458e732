"""What things are called on AWS, and how the catalogue's references read in Terraform."""

from __future__ import annotations

from typing import Any

from nightferry.catalog.references import Reference, references, substitute
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import EnvironmentFileError
from nightferry.terraform.document import expression, literal, slug


class Names(AwsResources):
    """The naming rules of one application in one environment, and its references in Terraform."""

    @property
    def prefix(self) -> str:
        """``{application}-{environment}``, which every resource's name begins with."""
        return self.naming.prefix

    @property
    def log_group(self) -> str:
        """The one log group of all tasks."""
        return self.naming.log_group

    @property
    def metric_namespace(self) -> str:
        """Return the namespace of the metrics that log filters make."""
        return f"Nightferry/{self.prefix}"

    def family(self, task: str) -> str:
        """The family of a task's definitions."""
        return self.naming.family(task)

    def definition_arn(self, task: str) -> str:
        """Return the expression of a task definition without revision: the newest revision is started."""
        return expression(f"module.task_{slug(task)}.arn_without_revision")

    def role_arns(self, task: str) -> list[str]:
        """Return the expressions of a task's role and of its execution role."""
        return [expression(f"module.task_{slug(task)}.{output}") for output in ("role_arn", "execution_role_arn")]

    def limited(self, name: str, limit: int, what: str) -> str:
        """``{prefix}-{name}``, for something whose name AWS limits to so many characters."""
        full = f"{self.prefix}-{name}"
        if len(full) > limit:
            raise EnvironmentFileError(
                f"{self.environment.file}: {what} would be called {full}, which has {len(full)} characters; AWS takes "
                f"{limit}. Shorten its name, or that of the application or the environment."
            )
        return full

    def in_terraform(self, value: Any) -> Any:
        """``value`` with every reference of the catalogue replaced by a value or expression of Terraform."""
        return substitute(_literals(value), self._resolve)

    def in_template(self, value: Any) -> Any:
        """The same for a template file, where only the variables of :meth:`template_variables` exist."""
        variables = {reference: name for name, reference in self.template_variables(value).items()}

        def resolve(reference: Reference) -> Any:
            if reference not in variables:
                return self._resolve(reference)
            variable = expression(variables[reference])
            return [variable] if reference.kind == "security_groups" else variable

        return substitute(_literals(value), resolve)

    def template_variables(self, value: Any) -> dict[str, Reference]:
        """The references in ``value`` that only Terraform can answer, by the name of a template variable each."""
        return {
            slug(f"{reference.kind}_{reference.name}".rstrip("_")): reference
            for reference in sorted(references(value), key=str)
            if reference.kind in ("task", "topic", "workflow", "cluster", "security_groups")
        }

    def _resolve(self, reference: Reference) -> Any:
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
                return self._resolve(Reference("setting", self.catalog.functions[reference.name].arn.name))
            case "cluster":
                return expression("data.aws_ecs_cluster.this.arn")
            case "subnets":
                return list(self.aws.subnets)
            case "security_groups":
                return [expression("aws_security_group.tasks.id")]
        raise EnvironmentFileError(
            f"{self.environment.file}: '{reference}' is known on this machine only; an environment on AWS must set "
            "the value itself."
        )


def _literals(value: Any) -> Any:
    """``value`` whose literal ``${`` (written ``$${``) and ``%{`` stay literal in a template of Terraform too."""
    if isinstance(value, str):
        return value.replace("$${", "$$${").replace("%{", "%%{")
    if isinstance(value, dict):
        return {_literals(key): _literals(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_literals(item) for item in value]
    return value
