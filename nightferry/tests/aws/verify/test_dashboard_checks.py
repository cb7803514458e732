"""The checks of the dashboard on an environment on AWS: findings of verify, without a start of anything."""

from __future__ import annotations

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.dashboard.access import Access
from nightferry.dashboard.pages.infrastructure import checks
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.testing import FakeFargate
from tests.dashboard.dashboards import PORT, TOKEN, check_html, make_client


@pytest.mark.long
def test_the_checks_of_an_environment_on_aws(project: Project, fargate: FakeFargate, backend: AwsBackend) -> None:
    site = Site(project, project.environment("test"), Access.on_loopback(TOKEN, PORT), lambda: backend, author="anna")
    client = make_client(site)
    fargate.calls.clear()
    before = check_html(client.get("/test/infrastructure")).text_content()
    assert "The checks have not run" in before
    thread = site.get_shared(checks.Checks).begin()
    assert thread is not None
    thread.join(60)
    run = site.get_shared(checks.Checks).run
    assert run is not None
    assert run.problem == ""
    assert [finding.group for finding in run.findings[:1]] == ["account"]
    verdicts = {finding.verdict for finding in run.findings}
    assert verdicts - {"ok", "warning"}, "the fake has not all resources"
    shown = " ".join(check_html(client.get("/test/infrastructure")).text_content().split())
    assert f"{sum(finding.is_failure for finding in run.findings)} missing, wrong or not allowed" in shown
    assert not {call for call in fargate.calls if call.startswith(("RunTask", "Start", "Put", "Create", "Delete"))}
    client.close()
