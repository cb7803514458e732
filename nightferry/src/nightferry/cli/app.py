"""All verbs of ``nightferry``, and what an error looks like to the person at the terminal."""

from __future__ import annotations

import sys

import typer

from nightferry.cli.deploy import diff, new_environment, resources, rollback, states, synth, verify
from nightferry.cli.inspect import lists, logs, next_fires, simulate, status
from nightferry.cli.run import redrive, run, start, stop, up
from nightferry.contract import ExitCode
from nightferry.errors import NightferryError

app = typer.Typer(
    name="nightferry",
    help="Declare background jobs once; run them on this machine or on AWS.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
RUN = "Run"
LOOK = "Look"
DEPLOY = "Deploy"
app.command("run", rich_help_panel=RUN, context_settings={"allow_interspersed_args": True})(run.run)
app.command("start", rich_help_panel=RUN)(start.start)
app.command("up", rich_help_panel=RUN)(up.up)
app.command("redrive", rich_help_panel=RUN)(redrive.redrive)
app.command("stop", rich_help_panel=RUN)(stop.stop)
app.command("status", rich_help_panel=LOOK)(status.status)
app.command("logs", rich_help_panel=LOOK)(logs.logs)
app.command("tasks", rich_help_panel=LOOK)(lists.tasks)
app.command("workflows", rich_help_panel=LOOK)(lists.workflows)
app.command("schedules", rich_help_panel=LOOK)(lists.schedules)
app.command("triggers", rich_help_panel=LOOK)(lists.triggers)
app.command("next", rich_help_panel=LOOK)(next_fires.next_fires)
app.command("simulate", rich_help_panel=LOOK)(simulate.simulate)
app.command("synth", rich_help_panel=DEPLOY)(synth.synth)
app.command("diff", rich_help_panel=DEPLOY)(diff.diff)
app.command("resources", rich_help_panel=DEPLOY)(resources.resources)
app.command("rollback", rich_help_panel=DEPLOY)(rollback.rollback)
app.command("verify", rich_help_panel=DEPLOY)(verify.verify)
app.command("new-environment", rich_help_panel=DEPLOY)(new_environment.new_environment)
app.add_typer(states.app, name="states", rich_help_panel=DEPLOY)


def main() -> None:
    """The console script. A user's mistake is a sentence and exit code 2, never a traceback."""
    try:
        app()
    except NightferryError as error:
        sys.stderr.write(f"nightferry: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        sys.stderr.close()
        sys.exit(ExitCode.BROKEN_PIPE)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
