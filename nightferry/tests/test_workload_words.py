"""Test that the toolkit contains no words of the workload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nightferry.environments.project import Project
from nightferry.terraform import synthesize
from tests.terraform.example import make_catalog, make_environment

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "nightferry" / "src"
WORDS = re.compile(
    r"paid.?leave|pfml|dfml|fineos|massachusetts|import_log|EtlReport|gnupg(?!home)|API CI Deploy"
    r"|unemployment|eligibility|claimant"
    # The Department of Revenue and the subjects of its files, also within identifiers: employer_id, dor_import.
    r"|(?<![a-z])dor(?![a-z])|employer|employee|(?<![a-z])wages?(?![a-z])"
    # The program gpg, at the start of a command. In a list of words it is a kind of key, which marks names of secrets.
    r"|(?<!, )[\"'`]gpg\b",
    re.IGNORECASE,
)


def find_words(texts: Iterator[tuple[str, str]]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts
        for number, line in enumerate(text.splitlines(), 1)
        if WORDS.search(line)
    ]


def read_sources() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and not {"__pycache__", ".ruff_cache"} & {*path.parts} and ".egg-info" not in str(path):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def test_the_search_finds_the_words() -> None:
    lines = [
        'logger = "paidleave"',
        "fineos_employer_id",
        "which('gpg')",
        "the DOR's files",
        "The Paid Leave database.",
    ]
    assert len(find_words(iter([("example", "\n".join(lines))]))) == len(lines)
    assert find_words(iter([("example", "for door in doors: vendor(order, gpg_key)")])) == []
    assert len(list(read_sources())) > 100


def test_the_source_contains_no_word_of_the_workload() -> None:
    assert find_words(read_sources()) == []


def test_synthesized_terraform_contains_no_word_of_the_workload() -> None:
    hello = Project.find(ROOT / "examples" / "hello")
    for catalog, environment in (
        (make_catalog(), make_environment(make_catalog())),
        (hello.catalog, hello.environment("test")),
    ):
        assert find_words(iter(synthesize(catalog, environment).items())) == []
