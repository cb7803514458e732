"""What a dashboard serves: one environment of a project."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from nightferry.backend.freshness import Freshness
from nightferry.backend.interface import Backend
from nightferry.catalog.catalog import Catalog
from nightferry.clock import Clock, get_clock
from nightferry.dashboard.access import Access
from nightferry.dashboard.actions.submissions import Submissions
from nightferry.dashboard.batches.batch import Batches
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.job.redaction import Redactor

Shared = TypeVar("Shared")


class Site:
    """One environment with its backend and the rights of this dashboard.

    ``open_backend`` is called once per worker thread, because the local store is bound to its thread. With ``actions``
    False, the pages only read. Without ``author``, the backend names the person, by the credentials on AWS.
    ``open_for_actions`` opens the backend for actions if the other one can only read. ``freshness``
    records how old the data of each response are.
    """

    def __init__(
        self,
        project: Project,
        environment: Environment,
        access: Access,
        open_backend: Callable[[], Backend],
        *,
        author: str,
        actions: bool = True,
        open_for_actions: Callable[[], Backend] | None = None,
        freshness: Freshness | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.project = project
        self.environment = environment
        self.access = access
        self.author = author
        self.actions = actions
        self.clock = clock or get_clock()
        self.submissions = Submissions()
        self.batches = Batches(lambda: self.backend_for_actions, project.catalog.privacy, self.clock)
        self.redactor = Redactor(project.catalog.privacy)
        self.open_streams = 0  # which only the event loop changes
        self.freshness = freshness or Freshness()
        self._open_backend = open_backend
        self._open_for_actions = open_for_actions or open_backend
        self._threads = threading.local()
        self._shared: dict[Callable[[Site], Any], Any] = {}
        self._shared_lock = threading.Lock()

    @property
    def catalog(self) -> Catalog:
        """Return the project's catalog."""
        return self.project.catalog

    @property
    def name(self) -> str:
        """Return the name of the environment, with which the path of each page begins."""
        return self.environment.name

    def owns_path(self, path: str) -> bool:
        """Return True if a path, which a form or a link has sent, leads to a page of this site and nowhere else."""
        return path.startswith(f"/{quote(self.name)}/") and path.isprintable() and "\\" not in path and "//" not in path

    @property
    def backend(self) -> Backend:
        """Return the backend of the current thread."""
        backend: Backend | None = getattr(self._threads, "backend", None)
        if backend is None:
            backend = self._threads.backend = self._open_backend()
        return backend

    @property
    def backend_for_actions(self) -> Backend:
        """Return the backend of the current thread that starts and stops runs."""
        backend: Backend | None = getattr(self._threads, "backend_for_actions", None)
        if backend is None:
            backend = self._threads.backend_for_actions = self._open_for_actions()
        return backend

    def get_shared(self, make: Callable[[Site], Shared]) -> Shared:
        """Return what ``make`` makes of this site, such as a cache. It is made once, and all threads share it."""
        with self._shared_lock:
            if make not in self._shared:
                self._shared[make] = make(self)
            found: Shared = self._shared[make]
            return found

    @property
    def zones(self) -> list[str]:
        """Return the time zones of the schedules, of which a reader can choose one for all times."""
        return sorted({"UTC", *(schedule.timezone for schedule in self.catalog.schedules.values())})

    @property
    def default_zone(self) -> ZoneInfo:
        """Return the zone of the times until a reader chooses another one."""
        return ZoneInfo("UTC")
