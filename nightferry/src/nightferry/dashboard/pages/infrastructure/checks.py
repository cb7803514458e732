"""The checks of ``nightferry verify`` and ``nightferry diff``, run on request in a thread, because they take time.

A site has one run at a time, even if several people request it. Its findings stay until the next run.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from nightferry.backend.verify.findings import Finding
from nightferry.dashboard.site import Site
from nightferry.errors import NightferryError
from nightferry.job.error_facts import get_type_name

_log = logging.getLogger("nightferry.dashboard")


@dataclass(frozen=True)
class CheckRun:
    """The last run of the checks. ``drift`` is None if the environment has no written Terraform files."""

    begun_at: datetime
    ended_at: datetime | None = None
    findings: tuple[Finding, ...] = ()
    drift: tuple[str, ...] | None = None
    problem: str = ""


class Checks:
    """The checks of a site. Their state is that of the last run."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self.run: CheckRun | None = None
        """The last run, which may be in progress, or None."""

    def begin(self) -> threading.Thread | None:
        """Begin the checks unless they are running. Return their thread."""
        with self._lock:
            if self.run is not None and self.run.ended_at is None:
                return None
            self.run = CheckRun(self._site.clock.now())
        thread = threading.Thread(target=self._work, args=(self.run,), name="dashboard-checks", daemon=True)
        thread.start()
        return thread

    def _work(self, run: CheckRun) -> None:
        problem = ""
        try:
            for finding in _check(self._site):
                run = self.run = replace(run, findings=(*run.findings, finding))
            run = self.run = replace(run, drift=_find_drift(self._site))
        except NightferryError as error:
            problem = str(error)
        except Exception as error:
            _log.exception("The checks of the environment failed.", extra={"event": "checks_failed"})
            problem = f"The checks failed ({get_type_name(error)}). The log of this server has the details."
        finally:
            self.run = replace(run, ended_at=self._site.clock.now(), problem=problem)


def _check(site: Site) -> Iterator[Finding]:
    if site.environment.aws is None:
        from nightferry.local.verify import verify as verify_locally

        return verify_locally(site.catalog, site.project.state)
    from nightferry.aws.session import Aws
    from nightferry.aws.verify.verify import verify
    from nightferry.dashboard.pages.infrastructure.declared import find_declared
    from nightferry.environments.aws_resources import AwsResources

    aws = Aws(site.environment.aws.region, site.environment.aws.account)
    resources = AwsResources(site.catalog, site.environment)
    return verify(resources, site.get_shared(find_declared), aws, prerequisites=False, image_tag=None)


def _find_drift(site: Site) -> tuple[str, ...] | None:
    """Return the differences between the written Terraform files and the catalog."""
    from nightferry.terraform import read, synthesize
    from nightferry.terraform.reading.diff import diff

    written = site.project.root / "infra"
    if site.environment.aws is None or not (written / "ecs-tasks" / site.name).is_dir():
        return None
    new = synthesize(site.catalog, site.environment)
    return tuple(map(str, diff(read(written, site.name), new, site.name)))
