"""Synthesis of infrastructure: a large catalog in this process, and the workload's catalog against AWS CDK.

The large catalog has 39 tasks, 19 schedules, 3 triggers and one workflow; imports are not included. Its peer is
``json``, which reads and writes the same files once. Its limit, including the declarations, is one second.

``nightferry synth --env prod`` writes the workload's Terraform. The peer is ``benchmarks/cdk/app.js``, which declares
the same tasks, schedules, triggers, workflows, notices and alarms with the constructs of aws-cdk-lib. It runs alone,
without CDK's check of the template, and as the app of ``cdk synth``, with the check, as by default. All are processes,
timed from start to exit, which run alternately. The peer omits the evaluation and the checks of a catalog, because it
reads the declarations from our Terraform files. Its template contains all resources, while ours contains a call of a
module for each task, schedule and trigger, which Terraform expands in a plan.

Medians of five runs. ``python -m benchmarks.synth 1`` is a quick check.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.judge import MISSING, Limit, Ratio, judge, note_version
from benchmarks.processes import Measurement, measure
from nightferry.terraform import synthesize
from nightferry.terraform.monitoring.overdue import find_longest_gap
from tests.terraform import full_catalog

LIMIT_SECONDS = 1.0
ROOT = Path(__file__).parents[1]
CDK = Path(__file__).with_name("cdk")
_MODULES = CDK / "node_modules"
OURS = "nightferry synth"
APP = "CDK's app, unchecked"
CLI = "cdk synth"
COMPARED = {
    "aws_ecs_task_definition": "AWS::ECS::TaskDefinition",
    "aws_scheduler_schedule": "AWS::Scheduler::Schedule",
    "aws_sfn_state_machine": "AWS::StepFunctions::StateMachine",
    "aws_cloudwatch_metric_alarm": "AWS::CloudWatch::Alarm",
}
"""The types of resources of which both must have the same number, in Terraform and in CloudFormation."""


def main(repeat: int = 5) -> None:
    """Print the times. Exit with 1 above the limit."""
    judge(*_measure_large_catalog(repeat), *_measure_processes(repeat))


def _measure_large_catalog(repeat: int) -> list[Ratio | Limit]:
    declaring, synthesizing, writing = [], [], []
    size = 0
    for _ in range(repeat):
        find_longest_gap.cache_clear()  # the real command starts with an empty cache
        started = time.perf_counter()
        catalog = full_catalog.make_catalog()
        environment = full_catalog.make_environment(catalog)
        declared = time.perf_counter()
        files = synthesize(catalog, environment)
        synthesizing.append(time.perf_counter() - declared)
        declaring.append(declared - started)
        size = sum(map(len, files.values()))
        started = time.perf_counter()
        for name, text in files.items():
            if name.endswith(".json"):
                json.dumps(json.loads(text), indent=2)
        writing.append(time.perf_counter() - started)
    print(f"declare    {statistics.median(declaring):.3f} s")
    print(f"synthesize {statistics.median(synthesizing):.3f} s   {len(files)} files, {size / 1000:,.0f} kB")
    ratio = statistics.median(writing) / statistics.median(synthesizing)
    print(f"json alone {statistics.median(writing):.3f} s   synthesis has {ratio:.2f} times its speed")
    seconds = statistics.median(declaring) + statistics.median(synthesizing)
    return [
        Ratio("synthesis / json alone", ratio),
        Limit("declare and synthesize", seconds, LIMIT_SECONDS, "s"),
    ]


def _measure_processes(repeat: int) -> list[Ratio]:
    """Measure our command and CDK, if it is installed, for the workload's production environment."""
    node = shutil.which("node")
    missing = "" if node and (_MODULES / "aws-cdk-lib").is_dir() else _explain_missing(node)
    with tempfile.TemporaryDirectory(prefix="nightferry-bench-") as name:
        folder = Path(name)
        infra, template = folder / "infra", folder / "cdk.out"
        app = [str(node), str(CDK / "app.js"), str(infra / "ecs-tasks" / "prod")]
        cli = [str(node), str(_MODULES / "aws-cdk" / "bin" / "cdk"), "synth", "--quiet", "--no-notices"]
        commands: dict[str, Callable[[], Measurement]] = {OURS: lambda: _synthesize(infra)}
        if not missing:
            environment = {"PATH": os.environ["PATH"], "HOME": name, "CI": "true", "CDK_DISABLE_CLI_TELEMETRY": "true"}
            commands[APP] = lambda: measure(app, environment | {"CDK_OUTDIR": str(template), "CDK_VALIDATION": "false"})
            options = ["--no-version-reporting", "--app", " ".join(app), "--output", str(template)]
            commands[CLI] = lambda: measure([*cli, *options], environment)
        measured: dict[str, list[Measurement]] = {name: [] for name in commands}
        for _ in range(repeat):
            for label, run in commands.items():
                measured[label].append(run())
        counts = "" if missing else _compare_resources(infra, template)
    seconds = {label: statistics.median(one.seconds for one in runs) for label, runs in measured.items()}
    print(f"The workload's prod environment, as processes; medians of {repeat} runs")
    for label, runs in measured.items():
        print(f"{label:22}{seconds[label]:6.2f} s {max(one.memory for one in runs):5.0f} MB")
    if missing:
        print(f"AWS CDK was not measured: {missing}")
        note_version("aws-cdk-lib", MISSING)
        return []
    for package in ("aws-cdk-lib", "aws-cdk"):
        note_version(package, _read_version(package))
    note_version("Node.js", subprocess.run([str(node), "--version"], capture_output=True, text=True).stdout.strip())
    print(f"aws-cdk-lib {_read_version('aws-cdk-lib')}, aws-cdk {_read_version('aws-cdk')}: {counts}")
    print("CDK is without the evaluation and the checks of a catalog. Terraform expands our modules in a plan.")
    return [Ratio(f"{OURS} / {label}", seconds[label] / seconds[OURS]) for label in (APP, CLI)]


def _explain_missing(node: str | None) -> str:
    return "make benchmarks/cdk/node_modules installs it with npm." if node else "Node.js not found. Install npm."


def _synthesize(target: Path) -> Measurement:
    """Write the workload's Terraform files for production to ``target``."""
    program = Path(sys.executable).with_name("nightferry")
    environment = {"PATH": os.environ["PATH"], "HOME": str(target.parent)}
    return measure([program, "synth", "--env", "prod", "--out", target], environment, ROOT / "paidleave")


def _compare_resources(infra: Path, template: Path) -> str:
    """Check that both have as many resources of the :data:`COMPARED` types, and return their numbers as text."""
    ours: Counter[str] = Counter()
    for file in (infra / "ecs-tasks" / "prod").glob("*.tf.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        ours.update({kind: len(resources) for kind, resources in content.get("resource", {}).items()})
        for module in content.get("module", {}).values():
            main = json.loads((file.parent / module["source"] / "main.tf.json").read_text(encoding="utf-8"))
            ours.update(main["resource"].keys())
    [file] = template.glob("*.template.json")
    made = Counter(one["Type"] for one in json.loads(file.read_text(encoding="utf-8"))["Resources"].values())
    expected = {theirs: ours[kind] for kind, theirs in COMPARED.items()}
    assert expected == {kind: made[kind] for kind in expected}, (expected, made)
    listed = ", ".join(f"{count} {kind.rpartition('::')[2]}" for kind, count in made.most_common(8))
    return f"{made.total()} resources, among them {listed}"


def _read_version(package: str) -> str:
    return str(json.loads((_MODULES / package / "package.json").read_text(encoding="utf-8"))["version"])


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
