"""The Dockerfile passes a linter and agrees with the task definitions."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
TEXT = (PROJECT / "paidleave" / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = [line for line in re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", TEXT)).splitlines() if line.strip()]
FINAL = INSTRUCTIONS[max(n for n, line in enumerate(INSTRUCTIONS) if line.startswith("FROM")) :]


def hadolint(file: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("hadolint is available only for Linux on x86-64")
    command = [str(program), "--config", str(PROJECT / "paidleave" / ".hadolint.yaml"), "--no-color", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_hadolint_finds_nothing() -> None:
    result = hadolint(PROJECT / "paidleave" / "Dockerfile")
    assert result.returncode == 0, result.stdout


def test_hadolint_finds_a_mistake(tmp_path: Path) -> None:
    broken = tmp_path / "Dockerfile"
    broken.write_text(TEXT.replace("python:3.11-slim-trixie", "python:latest"))
    assert "DL3007" in hadolint(broken).stdout


def test_both_stages_have_the_same_base_and_the_python_of_the_tests() -> None:
    bases = {line.split()[1] for line in INSTRUCTIONS if line.startswith("FROM")}
    (base,) = bases
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)
    ci = (PROJECT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert set(re.findall(r'python-version: "([\d.]+)"', ci)) == {base.split(":")[1].split("-")[0]}


def test_packages_from_the_index_are_checked_against_a_lock() -> None:
    installs = re.findall(r"pip (?:install|wheel) [^&\n]*", "\n".join(INSTRUCTIONS))
    assert len(installs) == 4
    for install in installs:
        assert ("--require-hashes" in install and "--only-binary :all:" in install) or "--no-index" in install
    for lock in re.findall(r"--requirement (\S+)", TEXT):
        text = (PROJECT / lock).read_text(encoding="utf-8")
        pinned = re.findall(r"(?m)^[a-z0-9][\w.-]*==", text)
        assert pinned
        assert text.count("--hash=sha256:") >= len(pinned)


def test_the_user_is_unprivileged_and_only_scratch_is_writable() -> None:
    (user,) = [line for line in FINAL if line.startswith("USER")]
    number, group = user.split()[1].split(":")
    assert int(number) > 0 < int(group)
    definition = (PROJECT / "paidleave/infra/modules/ecs_task/main.tf.json").read_text(encoding="utf-8")
    (scratch,) = re.findall(r'containerPath = \\"(/\w+)\\"', definition)
    assert f"VOLUME {scratch}" in FINAL
    assert FINAL.index(f"VOLUME {scratch}") < FINAL.index(user)
    assert not [line for line in FINAL if line.startswith(("ENTRYPOINT", "ADD"))]
    assert any("PYTHONDONTWRITEBYTECODE=1" in line for line in FINAL)


def test_the_image_contains_gpg() -> None:
    assert any(re.search(r"apt-get install .*\bgnupg\b", line) for line in FINAL)


def copied_paths() -> list[str]:
    """Return the paths that are copied_paths from the project."""
    lines = [line.split()[1:-1] for line in INSTRUCTIONS if line.startswith("COPY") and "--from" not in line]
    return sorted({name for names in lines for name in names})


def test_only_copied_files_are_sent_to_the_builder() -> None:
    rules = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    assert sorted(rule[1:] for rule in rules if rule[0] == "!") == copied_paths()
    for name in copied_paths():
        assert (PROJECT / name).exists(), name
    ignored = [rule for rule in rules[1:] if rule[0] != "!"]
    assert any(fnmatch.fnmatch("nightferry/src/nightferry/__pycache__", rule) for rule in ignored)


@pytest.mark.long
def test_the_copied_files_are_sufficient_to_build_the_wheels(tmp_path: Path) -> None:
    """Build offline with the same command; each wheel must contain exactly the files of its source."""
    for name in copied_paths():
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            shutil.copy(source, tmp_path / name)
    projects = ("nightferry", "paidleave")
    assert f"--wheel-dir /wheels ./{projects[0]} ./{projects[1]} " in TEXT
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path / "wheels")]
    command += [str(tmp_path / project) for project in projects]
    subprocess.run(command, check=True, timeout=240, stdout=subprocess.DEVNULL)
    for project in projects:
        (wheel,) = (tmp_path / "wheels").glob(f"{project}-*.whl")
        packaged = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
        source = PROJECT / project / "src"
        files = {
            str(path.relative_to(source))
            for path in source.rglob("*")
            if path.is_file() and path.suffix != ".pyc" and ".egg-info" not in str(path)
        }
        assert packaged == files
