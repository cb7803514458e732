"""Count the marker phrases of translated English in the prose of both projects, and fail above the limit.

``make lint`` runs it. Prose is Markdown, SQL comments, the text of HTML templates, the comments of configuration files
and, in Python, docstrings, comments and every string literal with a space in it. The phrases stand in ``markers.txt``,
one regular expression a line. The figure of a folder is phrases per 1,000 words.

    python tools/prose.py              # one line per folder; exit code 1 if a folder is above the limit
    python tools/prose.py PATH …       # only these files and folders, with the place of each phrase
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

LIMIT = 0.5  # phrases per 1,000 words; procrastinate and chalice have 0.45 and 0.42
ROOT = Path(__file__).resolve().parent.parent
MARKERS = Path(__file__).with_name("markers.txt")
COMMENTED = {".toml", ".yml", ".yaml", ".sh", ".cfg", ".service", "Makefile", "Dockerfile"}
KINDS = {".py", ".md", ".html", ".sql", *COMMENTED}  # of files with prose
WORD = re.compile(r"[^\W\d_][\w'’-]*")

Text = tuple[int, str]  # the line at which the text starts, and the text


def markers() -> re.Pattern[str]:
    """Return the pattern of all phrases; a space in ``markers.txt`` matches any white space."""
    phrases = MARKERS.read_text(encoding="utf-8").split("\n")
    return re.compile("|".join(phrase.replace(" ", r"\s+") for phrase in phrases if phrase), re.IGNORECASE)


def python_texts(source: str) -> Iterator[Text]:
    """Yield comments and the string literals that contain a space; adjacent comment lines are one text."""
    block: list[str] = []
    start = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1:
            yield start, "\n".join(block)
            block, start = [], token.start[0]
        block.append(token.string.lstrip("#! "))
        last = token.start[0]
    yield start, "\n".join(block)
    nodes = list(ast.walk(ast.parse(source)))
    parts = {id(value) for node in nodes if isinstance(node, ast.JoinedStr) for value in ast.walk(node)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            pieces = [value.value if isinstance(value, ast.Constant) else "{}" for value in node.values]
            yield node.lineno, "".join(str(piece) for piece in pieces)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and " " in node.value
            and id(node) not in parts
        ):
            yield node.lineno, node.value


def commented_texts(source: str, sign: str) -> Iterator[Text]:
    """Yield the comments of a file whose comments run from ``sign`` to the end of the line."""
    block: list[str] = []
    start = 1
    for number, line in enumerate(source.split("\n"), start=1):
        _, found, comment = line.partition(sign)
        if found:
            block.append(comment.strip())
        else:
            yield start, "\n".join(block)
            block, start = [], number + 1
    yield start, "\n".join(block)


def texts(path: Path) -> Iterable[Text]:
    """Return the prose of a file; nothing if files of its kind have none, such as pictures, which are not read."""
    kind = path.suffix or path.name
    if kind not in KINDS:
        return []
    source = path.read_text(encoding="utf-8")
    if kind == ".py":
        return python_texts(source)
    if kind == ".md":
        return [(1, source)]
    if kind == ".html":
        return [(1, re.sub(r"<[^>]*>", " ", source))]
    if kind == ".sql":
        return commented_texts(source, "--")
    return commented_texts(source, "# ")


def tracked(paths: list[str]) -> list[Path]:
    """Return the files of the repository, or those under the given paths."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / name for name in sorted(set(listing.stdout.split("\0"))) if name and (ROOT / name).is_file()]


def folder(path: Path) -> str:
    """Return the folder whose figure a file counts in: a package of a project, or a top folder."""
    parents = path.relative_to(ROOT).parent.parts
    depth = 4 if parents[1:2] == ("src",) else 3 if parents[1:2] == ("tests",) else 2
    return "/".join(parents[:depth]) or "."


def main(paths: list[str]) -> int:
    """Print the figure of each folder; return 1 if one is above the limit."""
    pattern = markers()
    words: dict[str, int] = defaultdict(int)
    found: dict[str, int] = defaultdict(int)
    for path in tracked(paths):
        for line, text in texts(path):
            words[folder(path)] += len(WORD.findall(text))
            for match in pattern.finditer(text):
                found[folder(path)] += 1
                if paths:
                    at = line + text.count("\n", 0, match.start())
                    around = " ".join(text[max(0, match.start() - 40) : match.end() + 40].split())
                    print(f"{path.relative_to(ROOT)}:{at}: {match[0]!r} in “{around}”")
    over = [name for name in words if words[name] and 1000 * found[name] / words[name] > LIMIT]
    for name in sorted(name for name in words if words[name]):
        mark = f"  above {LIMIT}" if name in over else ""
        print(f"{1000 * found[name] / words[name]:6.2f}  {found[name]:4} in {words[name]:7,} words  {name}{mark}")
    total, all_words = sum(found.values()), sum(words.values())
    print(f"{1000 * total / max(1, all_words):6.2f}  {total:4} in {all_words:7,} words  in all")
    if over:
        print("See tools/prose.py PATH for the phrases, and docs/glossary.md for the words to use.", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
