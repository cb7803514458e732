"""Synthesize the files of an environment.

The input is a catalog and an environment. The output is ``ecs-tasks/ENV/*.tf.json``, the definitions of the workflows,
the modules, and policies: of the roles that deploy and plan them, and of the people who start tasks. No stage reads
anything but the catalog and the environment, except that the first policies follow from the other files.
"""

from __future__ import annotations

from importlib.resources import files

from nightferry.catalog.catalog import Catalog
from nightferry.environments.environment import Environment
from nightferry.terraform import grants, iam, logs, network, root, schedules, tasks, triggers, workflows
from nightferry.terraform.deployers import operators
from nightferry.terraform.deployers import policies as deployers
from nightferry.terraform.files import Files
from nightferry.terraform.monitoring import alarms, notices
from nightferry.terraform.names import Names

# In the order in which a reviewer should read them.
DOCUMENTS = {
    "main": root.build_main,
    "versions": root.build_versions,
    "data": root.build_data,
    "tasks": tasks.build,
    "workflows": workflows.build,
    "schedules": schedules.build,
    "triggers": triggers.build,
    "notices": notices.build,
    "logs": logs.build,
    "iam": iam.build,
    "network": network.build,
    "alarms": alarms.build,
    "outputs": root.build_outputs,
}
MODULES = (
    "chat_notices",
    "ecs_task",
    "ecs_task_scheduler",
    "failure_notices",
    "newrelic_forwarder",
    "s3_ecs_trigger",
    "task_retries",
)
MODULE_FILES = ("main.tf.json", "versions.tf.json", "variables.tf.json", "outputs.tf.json", "README.md")
HANDLERS = {
    "chat_notices": "chat_notice.py",
    "failure_notices": "failure_notice.py",
    "newrelic_forwarder": "newrelic_forwarder.py",
    "s3_ecs_trigger": "s3_trigger.py",
    "task_retries": "task_retry.py",
}


def synthesize(catalog: Catalog, environment: Environment) -> Files:
    """Return the files of the environment and the modules that they call.

    Raises:
        EnvironmentFileError: The environment does not fit the catalog.
    """
    names = Names(catalog, environment)
    grants.check_logins(names)
    folder = f"ecs-tasks/{environment.name}"
    documents = {name: build(names) for name, build in DOCUMENTS.items()}
    result = {f"{folder}/{name}.tf.json": document.render() for name, document in documents.items() if document}
    for workflow in catalog.workflows.values():
        result[f"{folder}/workflows/{workflow.name}.asl.json"] = workflows.render_template(names, workflow)
    result |= read_modules()
    return result | deployers.build(names, result) | operators.build(names)


def read_modules() -> Files:
    """Return the modules, which hand-written Terraform can also use."""
    source = files("nightferry.terraform") / "modules"
    result = {
        f"modules/{module}/{name}": (source / module / name).read_text(encoding="utf-8")
        for module in MODULES
        for name in MODULE_FILES
    }
    handlers = files("nightferry.lambdas")
    return result | {
        f"modules/{module}/{name}": (handlers / name).read_text(encoding="utf-8") for module, name in HANDLERS.items()
    }
