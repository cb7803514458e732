"""``make scan`` fails if checkov crashes: with a program that logs and exits as checkov 3.3.30 does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCAN = Path(__file__).parents[3] / "tools" / "scan.py"
SUMMARY = {"passed": 864, "failed": 0, "skipped": 0, "parsing_errors": 0, "resource_count": 90}

# Recorded: a check that crashes on a dynamic block, and a block that checkov leaves out.
CRASH = """2026-11-30 16:38:33,539 [MainThread  ] [ERROR]  Failed to run check CKV_AWS_97 on /main.tf.json:x.this
Traceback (most recent call last):
  File "checkov/common/checks/base_check.py", line 68, in run
TypeError: argument of type 'int' is not iterable
"""
LEFT_OUT = "2026-11-30 16:38:33,540 [MainThread  ] [WARNI]  Failed to add block [{'aws_iam_role': {}}]\n"


def scan(folder: Path, *, log: str = "", report: object = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    infra = folder / "infra"
    infra.mkdir()
    (infra / ".checkov.yaml").write_text("quiet: true\n")
    block = {"for_each": ["a"], "content": {"subnets": ["b"]}}
    (infra / "main.tf.json").write_text(json.dumps({"resource": {"x": {"y": {"dynamic": {"network": [block]}}}}}))
    checkov = folder / "checkov"
    checkov.write_text(
        # The folder of the environment may have a space, which a first line with its Python must not have.
        f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n"
        "import os, shutil, sys\n"
        f"sys.stderr.write({log!r} if os.environ['LOG_LEVEL'] == 'WARNING' else '')\n"
        "report = sys.argv[sys.argv.index('--output-file-path') + 1].removeprefix('console,')\n"
        f"text = {json.dumps(report)!r}\n"
        "text == 'null' or open(report, 'w').write(text)\n"
        "framework = sys.argv[sys.argv.index('--framework') + 1]\n"
        f"shutil.copytree(sys.argv[sys.argv.index('--directory') + 1], {str(folder)!r} + '/' + framework)\n"
        f"sys.exit({code})\n"
    )
    checkov.chmod(0o755)
    plans = folder / "plans"
    plans.mkdir()
    (plans / "prod.json").write_text("{}")
    command = [sys.executable, str(SCAN), str(checkov), str(infra), str(plans)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"LOG_LEVEL": "CRITICAL"})


def test_a_complete_scan_without_findings_succeeds(tmp_path: Path) -> None:
    ended = scan(tmp_path, report={"check_type": "terraform_json", "summary": SUMMARY})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "terraform_plan" / "prod.json").exists()
    seen = json.loads((tmp_path / "terraform_json" / "main.tf.json").read_text())
    assert seen == {"resource": {"x": {"y": {"network": [{"subnets": ["b"]}]}}}}


def test_findings_keep_the_exit_code_of_checkov(tmp_path: Path) -> None:
    assert scan(tmp_path, report=[{"summary": SUMMARY | {"failed": 1}}], code=1).returncode == 1


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("log", "report", "message"),
    [
        (CRASH, {"summary": SUMMARY}, "Failed to run check CKV_AWS_97"),
        (LEFT_OUT, {"summary": SUMMARY}, "Failed to add block"),
        ("Traceback (most recent call last):\n", {"summary": SUMMARY}, "Traceback"),
        ("", {"summary": SUMMARY | {"parsing_errors": 2}}, "could not parse 2 files"),
        ("", {"summary": SUMMARY | {"passed": 0}}, "it ran no check"),
        ("", {"passed": 0, "failed": 0, "skipped": 0}, "it wrote no report"),  # checkov's report without any file
        ("", [], "it wrote no report"),
        ("", None, "it wrote no report"),
    ],
)
def test_a_scan_that_is_incomplete_fails(tmp_path: Path, log: str, report: object, message: str) -> None:
    ended = scan(tmp_path, log=log, report=report)
    assert ended.returncode == 1
    assert message in ended.stderr.splitlines()[-1]


def test_make_scan_and_pull_requests_use_the_program() -> None:
    makefile = (SCAN.parents[1] / "Makefile").read_text(encoding="utf-8")
    assert "tools/scan.py $(SCAN)/bin/checkov paidleave/infra" in makefile
    ci = (SCAN.parents[1] / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "run: make scan" in ci
