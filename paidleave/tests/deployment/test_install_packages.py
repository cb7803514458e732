"""tools/install-packages installs Debian's packages without starting or enabling their services."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
SCRIPT = PROJECT / "tools" / "install-packages"

# apt-get runs the maintainer scripts, which start a service unless the policy forbids it.
COMMANDS = {
    "apt-get": 'echo "apt-get $*" >> "$LOG"; [ "$1" = update ] || "$POLICY_RC_D" ssh start || echo refused >> "$LOG"'
    '; exit "${APT_CODE:-0}"',
    "dpkg": "printf '%s\\n' /usr/lib/systemd/system/ssh.socket /lib/systemd/system/ssh.service /etc/init.d/ssh",
    # Outside of a maintainer script, the program requires the package.
    "deb-systemd-helper": '[ "$DPKG_MAINTSCRIPT_PACKAGE" ] && echo "deb-systemd-helper $*" >> "$LOG"',
    "update-rc.d": 'echo "update-rc.d $*" >> "$LOG"',
}


def install(folder: Path, **variables: str) -> tuple[int, list[str]]:
    commands = folder / "bin"
    commands.mkdir()
    for name, text in COMMANDS.items():
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)
    log = folder / "log"
    log.touch()
    env = {"PATH": f"{commands}:{os.environ['PATH']}", "LOG": str(log), "POLICY_RC_D": str(folder / "policy-rc.d")}
    ended = subprocess.run([SCRIPT, "openssh-server"], env=env | variables, capture_output=True, text=True, check=False)
    return ended.returncode, log.read_text().splitlines()


@pytest.mark.parametrize("code", ["0", "100"])
def test_services_are_neither_started_nor_enabled(tmp_path: Path, code: str) -> None:
    returned, log = install(tmp_path, APT_CODE=code)
    assert not (tmp_path / "policy-rc.d").exists()
    if code == "0":
        assert returned == 0
        assert log == [
            "apt-get update -qq",
            "apt-get install -qq -y --no-install-recommends openssh-server",
            "refused",
            "deb-systemd-helper disable ssh.socket",
            "deb-systemd-helper disable ssh.service",
            "update-rc.d ssh disable",
        ]
    else:
        assert returned == int(code)


@pytest.mark.parametrize(("code", "installed"), [(101, True), (0, False)])
def test_the_policy_of_the_machine_is_kept(tmp_path: Path, code: int, installed: bool) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text(f"#!/bin/sh\nexit {code}\n")
    policy.chmod(0o755)
    returned, log = install(tmp_path)
    assert (returned == 0, bool(log)) == (installed, installed)
    assert policy.exists()


def test_make_installs_packages_only_by_the_script() -> None:
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert "apt-get install -qq" not in text
    assert text.count("tools/install-packages") == 4
