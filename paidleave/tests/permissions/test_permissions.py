"""Every task, trigger, schedule and workflow runs with its own roles as applied, and needs each of their statements."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightferry.testing.aws_provider.deployment import Deployment
from nightferry.testing.iam.report import find_unneeded, find_unused_actions, format_table
from tests.permissions.day import DAY
from tests.permissions.removal import Removals
from tests.permissions.unused_actions import UNUSED_ACTIONS
from tests.permissions.world import IMAGE, PROJECT, World, make_world


@pytest.fixture
def world(emulated_aws: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    deployment = Deployment(PROJECT.catalog, PROJECT.environment("test"), tmp_path_factory.mktemp("infra"))
    deployment.apply(IMAGE)
    with tempfile.TemporaryDirectory(prefix="nightferry-") as folder:
        Path(folder).chmod(0o711)  # the server's user must reach its data
        with make_world(emulated_aws, deployment, Path(folder)) as world:
            yield world


@pytest.mark.long
@pytest.mark.timeout(0)
def test_each_run_succeeds_with_its_roles_and_needs_each_statement(world: World) -> None:
    removals = Removals(world)
    for event in DAY:
        removals.run(event)

    statements = {role: world.account.statements(role) for role in world.account.list_roles()}
    requirements = world.account.requirements()
    print(format_table(statements, requirements))
    ended = {run.family for run in world.agent.runs if run.exit_code == 0}
    families = {world.deployment.resources.naming.family(task) for task in PROJECT.catalog.tasks}
    acting = {one.role for one in requirements}
    idle = {role for role, found in statements.items() if found and role not in acting}
    unneeded = find_unneeded(statements, requirements)
    unused = {name for names in find_unused_actions(statements, requirements).values() for name in names}
    assert (ended, idle, unneeded, removals.succeeded) == (families, set(), {}, set())
    assert unused <= UNUSED_ACTIONS.keys()
