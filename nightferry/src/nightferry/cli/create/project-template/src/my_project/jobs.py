"""The jobs. Each run is a process: on this machine, or in a container on AWS."""

from __future__ import annotations

from nightferry import Run, background_task, get_logger

from my_project.settings import HelloSettings

log = get_logger(__name__)


@background_task("hello", HelloSettings)
def hello(settings: HelloSettings, run: Run) -> None:
    """Log one line for each greeting."""
    for number in range(1, settings.times + 1):
        log.info("Hello, %s!", settings.who, extra={"number": number})
