"""``dor-generate``: settings and files, and the log and exit codes of its process."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nightferry import BadSettings, NightferryError, Run
from nightferry.job import command_line
from nightferry.job.runtime import Runtime
from nightferry.testing import forked
from paidleave.dor import encryption, generate
from paidleave.dor.generate import Population, WriteOptions
from paidleave.dor.settings import DorGenerateSettings

TIMESTAMP = "20200519120622"
NAMES = [f"DORDFMLEMP_{TIMESTAMP}", f"DORDFML_{TIMESTAMP}"]


def run(*options: str, **environment: str) -> tuple[int, list[dict[str, Any]], str]:
    """Return the exit code, the log events and all output."""
    done = forked.run(
        [sys.executable, "-c", "from paidleave.dor.generate import main; main()", f"--timestamp={TIMESTAMP}", *options],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stdout + done.stderr


@pytest.fixture(scope="module")
def key() -> encryption.KeyPair:
    return encryption.generate_key("Test")


def settings(*options: str) -> DorGenerateSettings:
    """Return the settings for these command line options."""
    return command_line.load_settings("dor-generate", DorGenerateSettings, [f"--timestamp={TIMESTAMP}", *options])


def run_in_process(*options: str) -> None:
    """Run the job's body in this process."""
    generate.main.body(settings(*options), Run(Runtime.read("dor-generate")))


def expected(population: Population, options: WriteOptions | None = None) -> list[bytes]:
    files = []
    for write in (generate.write_employer_file, generate.write_wage_file):
        stream = io.BytesIO()
        write(stream, population, options)
        files.append(stream.getvalue())
    return files


def test_options_and_environment_determine_the_files(tmp_path: Path) -> None:
    code, events, output = run(
        "--count=30", "--update=true", "--bad-share=0.5", CRLF="true", SEED="4", FOLDER=str(tmp_path)
    )
    assert code == 0, output
    files = expected(Population(30, seed=4, update=True), WriteOptions(bad_share=0.5, crlf=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    assert [(tmp_path / name).read_bytes() for name in NAMES] == files
    written = [event for event in events if event["message"] == "file written"]
    assert [event["file"] for event in written] == NAMES
    assert [event["bytes"] for event in written] == list(map(len, files))
    assert "[redacted]" not in output
    assert "250000001" not in output


def test_files_of_a_third_day(tmp_path: Path) -> None:
    run_in_process(f"--folder={tmp_path}", "--count=10", "--day=3", "--update=true")
    assert [(tmp_path / name).read_bytes() for name in NAMES] == expected(Population(10, update=True, day=3))


@pytest.mark.parametrize("stored", [False, True], ids=["key as text", "key in a file"])
def test_files_are_encrypted_with_the_key(
    tmp_path: Path, key: encryption.KeyPair, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    public = tmp_path / "public.asc"
    public.write_text(key.public)
    folder = tmp_path / "received"
    monkeypatch.setenv("GPG_PUBLIC_KEY", str(public) if stored else key.public)
    run_in_process(f"--folder={folder}", "--count=20")
    for name, plain in zip(NAMES, expected(Population(20)), strict=True):
        with (folder / name).open("rb") as file, encryption.decrypt(file, key.private) as text:
            assert text.read() == plain


def test_invalid_key_leaves_no_file(tmp_path: Path) -> None:
    code, events, output = run(f"--folder={tmp_path}", GPG_PUBLIC_KEY="-----BEGIN PGP PUBLIC KEY BLOCK-----\nno\n")
    assert code == 1
    assert list(tmp_path.iterdir()) == []
    assert "Check the public key" in output or "Check that the public key" in output
    assert "Traceback" not in output
    assert events[-1]["exit_code"] == 1


@pytest.mark.parametrize(
    "option", ["--count=0", "--count=many", "--bad-share=2", "--non-ascii-every=-1", "--day=0", "--colour=red"]
)
def test_invalid_settings_are_named(tmp_path: Path, option: str) -> None:
    with pytest.raises(BadSettings, match=option.partition("=")[0]):
        settings(f"--folder={tmp_path}", option)


def test_day_without_update_exits_with_a_settings_error(tmp_path: Path) -> None:
    code, _, output = run(f"--folder={tmp_path}", "--day=2")
    assert code == 2
    assert "DAY is valid for updates only. Set UPDATE to true" in output
    assert list(tmp_path.iterdir()) == []


def test_too_many_employers_are_reported(tmp_path: Path) -> None:
    with pytest.raises(NightferryError, match="the number of employers must be from 1 to 899,999,999"):
        run_in_process(f"--folder={tmp_path}", "--count=900000000")
    assert list(tmp_path.iterdir()) == []
