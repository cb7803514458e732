"""Test doubles for AWS and time, for the tests of the toolkit and of its users.

::

    from nightferry.testing import FakeFargate, ScriptedLine, TaskScript

    lines = [ScriptedLine(1, "one"), ScriptedLine(2, "two")]
    with FakeFargate(project, "test") as aws:                   # needs the extra "testing"
        aws.script("load-orders", TaskScript(lines=lines, stopped=3, exit_code=3))
        subprocess.run(["nightferry", "run", "load-orders", "--env", "test"], env=os.environ | aws.variables)

:class:`LocalProject` runs a whole project on this machine, with its services, for a test or a demonstration.
"""

from nightferry.testing.clock import FakeClock
from nightferry.testing.fargate import FakeFargate
from nightferry.testing.local import LocalProject, time_taken
from nightferry.testing.task_script import ScriptedLine, TaskScript

__all__ = ["FakeClock", "FakeFargate", "LocalProject", "ScriptedLine", "TaskScript", "time_taken"]
