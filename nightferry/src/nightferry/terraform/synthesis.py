"""The whole: which files, in which folders.

A catalogue and an environment come in; ``ecs-tasks/ENV/*.tf.json`` with the workflows' definitions and the
modules go out. Stages may read the catalogue and the environment, and nothing else.
"""

from __future__ import annotations

from importlib.resources import files

from nightferry.catalog.catalog import Catalog
from nightferry.environments.environment import Environment
from nightferry.terraform import iam, logs, network, root, schedules, tasks, triggers, workflows
from nightferry.terraform.files import Files
from nightferry.terraform.monitoring import alarms
from nightferry.terraform.names import Names

# In the order in which a reviewer reads them.
DOCUMENTS = {
    "main": root.main,
    "versions": root.versions,
    "data": root.data,
    "tasks": tasks.build,
    "workflows": workflows.build,
    "schedules": schedules.build,
    "triggers": triggers.build,
    "logs": logs.build,
    "iam": iam.build,
    "network": network.build,
    "alarms": alarms.build,
    "outputs": root.outputs,
}
MODULES = ("ecs_task", "ecs_task_scheduler", "newrelic_forwarder", "s3_ecs_trigger")
MODULE_FILES = ("main.tf.json", "versions.tf.json", "variables.tf.json", "outputs.tf.json", "README.md")
HANDLERS = {"newrelic_forwarder": "newrelic_forwarder.py", "s3_ecs_trigger": "s3_trigger.py"}


def synthesize(catalog: Catalog, environment: Environment) -> Files:
    """Every file of the environment, and the modules that they call.

    Raises :class:`~nightferry.errors.EnvironmentFileError` if the environment cannot hold the catalogue.
    """
    names = Names(catalog, environment)
    folder = f"ecs-tasks/{environment.name}"
    documents = {name: build(names) for name, build in DOCUMENTS.items()}
    result = {f"{folder}/{name}.tf.json": document.render() for name, document in documents.items() if document}
    for workflow in catalog.workflows.values():
        result[f"{folder}/workflows/{workflow.name}.asl.json"] = workflows.template(names, workflow)
    return result | modules()


def modules() -> Files:
    """The modules, which a team that writes its Terraform by hand may use alone."""
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
