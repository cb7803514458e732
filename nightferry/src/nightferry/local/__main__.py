"""The process that ``nightferry.local.engine.background`` starts: an engine that runs until nothing is open."""

from __future__ import annotations

import asyncio
import sys

from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.job.redaction import redactor
from nightferry.job.tracebacks import format_traceback
from nightferry.local.backend import LocalBackend


def main() -> None:
    """Run the engine of the project in the current folder. The argument is the environment's name."""
    project = Project.find()
    redactor.privacy = project.catalog.privacy
    try:
        backend = LocalBackend(project, project.environment(sys.argv[1]))
        asyncio.run(backend.work(lambda: not backend.store.has_open_work()))
    except NightferryError as error:
        sys.exit(str(error))
    except Exception as error:  # its standard error is engine.log
        sys.exit(format_traceback(error))


if __name__ == "__main__":
    main()
