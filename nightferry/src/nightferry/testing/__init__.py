"""What tests use instead of AWS and of the time; this project's own, and yours.

::

    from nightferry.testing import FakeFargate, Play, Said

    with FakeFargate(project, "test") as aws:                   # needs the extra "testing"
        aws.plays("load-orders", Play(lines=[Said(1, "one"), Said(2, "two")], stopped=3, exit_code=3))
        subprocess.run(["nightferry", "run", "load-orders", "--env", "test"], env=os.environ | aws.variables)
"""

from nightferry.testing.clock import ToldClock
from nightferry.testing.fargate import FakeFargate
from nightferry.testing.plays import Play, Said

__all__ = ["FakeFargate", "Play", "Said", "ToldClock"]
