"""What tests use instead of AWS and of the time; this project's own, and yours.

::

    from nightferry.testing import FakeFargate, Play, Said

    with FakeFargate(project, "test") as aws:                   # needs the extra "testing"
        aws.plays("load-orders", Play(lines=[Said(1, "one"), Said(2, "two")], stopped=3, exit_code=3))
        subprocess.run(["nightferry", "run", "load-orders", "--env", "test"], env=os.environ | aws.variables)

:class:`LocalProject` runs a whole project on this machine, with its services, for a test or a demonstration.
"""

from nightferry.testing.clock import ToldClock
from nightferry.testing.fargate import FakeFargate
from nightferry.testing.local import LocalProject, time_taken
from nightferry.testing.plays import Play, Said

__all__ = ["FakeFargate", "LocalProject", "Play", "Said", "ToldClock", "time_taken"]
