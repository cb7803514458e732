"""Print where 20 questions of readers are answered, and the clicks from README.md: ``python tools/questions.py``.

With ``--pages``, print the navigation of the site: each page, its clicks, its title and its first sentence.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tools.pages import count_clicks, find_pages, published, read_navigation  # noqa: E402


class Question(NamedTuple):
    """A question, the address of its answer, and a text that the answer must contain."""

    reader: str
    text: str
    address: str
    contains: str

    @property
    def page(self) -> str:
        """Return the path of the page."""
        return self.address.partition("#")[0]

    @property
    def anchor(self) -> str:
        """Return the anchor of the section."""
        return self.address.partition("#")[2]


TOOLKIT = "nightferry/docs"
WORKLOAD = "paidleave/docs"
REVIEW = "paidleave/infra/ecs-tasks/README.md"
QUESTIONS = [
    Question("developer", "How do I run my first job?", f"{TOOLKIT}/getting-started.md#run-the-job", "nightferry run"),
    Question("developer", "Which parameters has a task?", f"{TOOLKIT}/reference/catalog.md#catalogtask", "`overlap`"),
    Question(
        "developer",
        "How does a new object start a job?",
        f"{TOOLKIT}/schedules-and-triggers.md#object-triggers",
        "`prefix`",
    ),
    Question("developer", "How do I test a job without a process?", f"{TOOLKIT}/testing-jobs.md#run_job", "run_job("),
    Question("developer", "How do I keep runs from overlapping?", f"{TOOLKIT}/leases.md#overlap-policies", "skip"),
    Question("reviewer", "Which roles does a task have?", f"{REVIEW}#task-definitions", "execution role"),
    Question("reviewer", "What is an IAM statement for?", f"{WORKLOAD}/permissions.md#tasks", "s3:"),
    Question("reviewer", "What does an environment cost?", f"{REVIEW}#costs", "$"),
    Question("reviewer", "What does an environment need?", f"{WORKLOAD}/creating-environments.md#prerequisites", "VPC"),
    Question("reviewer", "How is a deployment undone?", f"{WORKLOAD}/deployment.md#rollback", "nightferry rollback"),
    Question("on call", "What does an alarm mean?", f"{WORKLOAD}/on-call.md#alarms", "paid-leave-api-"),
    Question("on call", "Whom do I wake?", f"{WORKLOAD}/on-call.md#whom-to-wake", "platform team"),
    Question("on call", "What does an exit code mean?", f"{TOOLKIT}/reference/job-settings.md#exit-codes", "124"),
    Question("on call", "How do I stop a run?", f"{TOOLKIT}/repair.md#stop", "nightferry stop"),
    Question("on call", "How does a failed night continue?", f"{TOOLKIT}/repair.md#which-command", "redrive EXECUTION"),
    Question("analyst", "What happened to a line?", f"{WORKLOAD}/explain-a-file.md#outcome-of-every-line", "rejected"),
    Question(
        "analyst",
        "What is an implausible SSN, and whom do I ask?",
        f"{WORKLOAD}/rejection-reasons.md#implausible-ssn",
        "Ask the Department of Revenue",
    ),
    Question("analyst", "Where in a line is a field?", f"{WORKLOAD}/file-layouts.md#employer-file", "1–"),
    Question(
        "analyst",
        "How are rejected lines imported again?",
        f"{WORKLOAD}/explain-a-file.md#replay-rejected-lines",
        "replay",
    ),
    Question(
        "analyst",
        "Which file did not come?",
        f"{WORKLOAD}/failed-files.md#files-that-did-not-come",
        "days-without-file",
    ),
]


def main() -> None:
    """Print a table in Markdown."""
    pages = published(find_pages())
    clicks = count_clicks(pages)
    if "--pages" in sys.argv:
        for sections, path in read_navigation():
            first = (ROOT / path).read_text(encoding="utf-8").partition("\n\n")[2].partition("\n\n")[0]
            sentence = re.split(r"(?<=[.:])\s", " ".join(first.split()))[0]
            print(f"{'  ' * len(sections)}{path} ({clicks[path]}): {pages[path].title}. {sentence}")
        return
    print("| Reader | Question | Answer | Clicks |\n| --- | --- | --- | ---: |")
    for question in QUESTIONS:
        answer = f"[{pages[question.page].title}]({question.address})"
        print(f"| {question.reader} | {question.text} | {answer} | {clicks[question.page]} |")


if __name__ == "__main__":
    main()
