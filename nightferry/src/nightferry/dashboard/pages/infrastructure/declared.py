"""The resources that the catalog declares for an environment on AWS, and links to them in AWS's console."""

from __future__ import annotations

from urllib.parse import quote

from nightferry.backend.verify.expected import Expected
from nightferry.dashboard.site import Site
from nightferry.environments.aws_resources import AwsResources

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}


def find_declared(site: Site) -> Expected:
    """Return the declared resources of an environment on AWS; computed once by :meth:`Site.get_shared`."""
    from nightferry.terraform import synthesize
    from nightferry.terraform.reading.expected import find_expected

    files = synthesize(site.catalog, site.environment)
    return find_expected(files, AwsResources(site.catalog, site.environment))


class ConsoleLinks:
    """Links to the resources of an environment in AWS's console. They are made of declared names only."""

    def __init__(self, site: Site) -> None:
        resources = AwsResources(site.catalog, site.environment)
        self._aws = resources.aws
        self._naming = resources.naming
        self._host = f"{self._aws.region}.{_CONSOLES.get(self._aws.partition, _CONSOLES['aws'])}"

    def cluster(self) -> str:
        """Return the link to the cluster's tasks."""
        return self._build(f"ecs/v2/clusters/{quote(self._aws.cluster, safe='')}/tasks")

    def log_group(self, name: str) -> str:
        """Return the link to a log group. The console decodes the fragment twice, and writes % as $25."""
        twice = quote(quote(name, safe=""), safe="").replace("%", "$")
        return f"{self._build('cloudwatch/home')}#logsV2:log-groups/log-group/{twice}"

    def alarms(self) -> str:
        """Return the link to the alarms of this environment."""
        prefix = quote(self._naming.prefix, safe="")
        return f"{self._build('cloudwatch/home')}#alarmsV2:?~(search~'{prefix})"

    def state_machine(self, workflow: str) -> str:
        """Return the link to the state machine of a workflow."""
        name = self._naming.state_machine(workflow)
        arn = f"arn:{self._aws.partition}:states:{self._aws.region}:{self._aws.account}:stateMachine:{name}"
        return f"{self._build('states/home')}#/statemachines/view/{quote(arn, safe='')}"

    def task_definition(self, task: str) -> str:
        """Return the link to the definitions of a task."""
        return self._build(f"ecs/v2/task-definitions/{quote(self._naming.family(task), safe='')}")

    def _build(self, path: str) -> str:
        return f"https://{self._host}/{path}?region={self._aws.region}"
