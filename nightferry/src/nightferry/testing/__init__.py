"""Jobs in the process of a test, and test doubles for AWS and time, for the tests of the toolkit and of its users.

::

    from nightferry.testing import run_job

    ended = run_job(main, {"FOLDER_PATH": tmp_path})
    assert ended.exit_code == 0

    from nightferry.testing import FakeFargate, ScriptedLine, TaskScript

    lines = [ScriptedLine(1, "one"), ScriptedLine(2, "two")]
    with FakeFargate(project, "test") as aws:                   # needs the extra "testing"
        aws.script("load-orders", TaskScript(lines=lines, stopped=3, exit_code=3))
        subprocess.run(["nightferry", "run", "load-orders", "--env", "test"], env=os.environ | aws.variables)

:class:`LocalProject` runs a whole project on this machine, with its services, for a test or a demonstration.
"""

from nightferry.testing.buckets import FakeBucket
from nightferry.testing.clock import FakeClock
from nightferry.testing.commands import CommandResult, run_command
from nightferry.testing.fargate import FakeFargate, ScriptedLine, TaskScript
from nightferry.testing.jobs import RunResult, run_job
from nightferry.testing.local import LocalProject, time_taken

__all__ = [
    "CommandResult",
    "FakeBucket",
    "FakeClock",
    "FakeFargate",
    "LocalProject",
    "RunResult",
    "ScriptedLine",
    "TaskScript",
    "run_command",
    "run_job",
    "time_taken",
]
