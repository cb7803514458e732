"""The job: its settings and its function."""

from __future__ import annotations

from pydantic import Field

from nightferry import JobSettings, Run, background_task, get_logger

log = get_logger(__name__)


class GreetSettings(JobSettings):
    """Greet someone."""

    who: str = Field(description="Name to greet")
    times: int = Field(default=1, ge=1, le=100, description="Number of greetings")


@background_task("greet", GreetSettings)
def greet(settings: GreetSettings, run: Run) -> None:
    """Log one line for each greeting."""
    with run.progress("greet", total=settings.times, unit="greetings") as progress:
        for number in range(1, settings.times + 1):
            log.info("Hello, %s!", settings.who, extra={"number": number})
            progress.advance()
