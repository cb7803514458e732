"""CSV by the rules of AWS's developer guide, "How Step Functions parses input CSV files"."""

from __future__ import annotations

import csv
import io
import json
from random import Random
from typing import Any

import pytest

from nightferry.states import run
from nightferry.states.machine.csv_items import UnreadableItems, parse_rows
from nightferry.testing.tiers import SEED, examples
from tests.states.machine.test_distributed_map import Objects, reading
from tests.states.machines import one


@pytest.mark.parametrize(
    ("line", "delimiter", "row"),
    [
        (r"C:\\Program Files\\MyApp.exe,6534512", ",", [r"C:\Program Files\MyApp.exe", "6534512"]),
        (r"a\,b,c", ",", ["a,b", "c"]),
        (r"a\|b|c,d", "|", ["a|b", "c,d"]),
        (r"a\xb,\nc", ",", ["axb", "nc"]),
        (r"a\"b\"c,d", ",", ['a"b"c', "d"]),
        (r'"a\"b\"c, d",e', ",", ['a"b"c, d', "e"]),
        (r'"a\\",b', ",", ["a\\", "b"]),
        (r"a\|b", ",", ["a|b"]),
        ("a,b\\", ",", ["a", "b"]),
        ('{""k"":""v""},x', ",", ['{"k":"v"}', "x"]),
        ('x,""a"",', ",", ["x", '"a"', ""]),
        ('"a""b","","""",""""""', ",", ['a"b', "", '"', '""']),
        ('"a\nb","c\r\nd"', ",", ["a\nb", "c\r\nd"]),
        ('a"b,c"', ",", ['a"b', 'c"']),
        ('"a"b,c', ",", ["ab", "c"]),
        ("a\rb,c", ",", ["a\rb", "c"]),
        ("a;b,c", ";", ["a", "b,c"]),
        ("a\tb c", "\t", ["a", "b c"]),
        ("a  b", " ", ["a", "", "b"]),
        (" a , b ", ",", [" a ", " b "]),
        ("a\x00b,\u2028c\x0bd", ",", ["a\x00b", "\u2028c\x0bd"]),
    ],
)
def test_a_row(line: str, delimiter: str, row: list[str]) -> None:
    assert list(parse_rows(line, delimiter)) == [row]
    assert list(parse_rows(f"{line}\r\n\n{line}\n", delimiter)) == [row, row]


def test_the_example_of_the_guide() -> None:
    content = (
        b'abc,123,"This string contains commas, a double quotation marks (""), and a newline (\n)",'
        b'{""MyKey"":""MyValue""},"[1,2,3]"\n'
    )
    names = ["MyLetters", "MyNumbers", "MyString", "MyObject", "MyArray"]
    config = {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": names}
    selector = {
        "MyLetters.$": "$$.Map.Item.Value.MyLetters",
        "MyNumbers.$": "States.StringToJson($$.Map.Item.Value.MyNumbers)",
        "MyString.$": "$$.Map.Item.Value.MyString",
        "MyObject.$": "States.StringToJson($$.Map.Item.Value.MyObject)",
        "MyArray.$": "States.StringToJson($$.Map.Item.Value.MyArray)",
    }

    result = run(one(reading(config, ItemSelector=selector)), {"key": "o"}, objects=Objects(o=content))

    assert result.output == [
        {
            "MyNumbers": 123,
            "MyObject": {"MyKey": "MyValue"},
            "MyString": 'This string contains commas, a double quotation marks ("), and a newline (\n)',
            "MyLetters": "abc",
            "MyArray": [1, 2, 3],
        }
    ]


def test_rows_of_another_writer() -> None:
    """Rows that Python's own writer quoted are read back."""
    random = Random(SEED)
    for _ in range(examples(20)):
        rows = [["".join(random.choices('ab,"\n \r', k=random.randint(0, 9))) for _ in range(3)] for _ in range(4)]
        rows = [[field.replace("\r", "\r\n") for field in row] for row in rows]
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=random.choice(["\n", "\r\n"])).writerows(rows)

        assert list(parse_rows(text.getvalue(), ",")) == rows


def test_a_quotation_mark_without_end() -> None:
    with pytest.raises(UnreadableItems, match="no end"):
        list(parse_rows('a\n"b,c\n', ","))


def test_a_long_field() -> None:
    field = "x" * 300_000

    result = run(
        one(reading({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}, ItemSelector={"n": 1})),
        {"key": "o"},
        objects=Objects(o=f'a,b\n{field},"{field}"\n'.encode()),
    )

    assert (result.status, result.output) == ("SUCCEEDED", [{"n": 1}])


@pytest.mark.parametrize("kind", ["CSV", "JSON", "JSONL", "MANIFEST", "PARQUET"])
def test_any_content_succeeds_or_can_be_caught(kind: str) -> None:
    random = Random(f"{SEED}{kind}")
    config: dict[str, Any] = {"InputType": kind}
    if kind == "CSV":
        config["CSVHeaderLocation"] = "FIRST_ROW"
    catch = [{"ErrorEquals": ["States.ItemReaderFailed"], "ResultPath": "$.error", "Next": "C"}]
    definition = one(reading(config, Catch=catch, Next="C"), C={"Type": "Pass", "End": True})
    texts = [
        '"',
        "\\",
        ",",
        "\n",
        "\r",
        "\x00",
        "{",
        "[",
        "]",
        "}",
        ":",
        '"a"',
        "1e999",
        "NaN",
        "\u2028",
        "\\ud800",
        "null",
    ]
    pieces = [*(text.encode() for text in texts), b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"[" * 2000, b"1" * 5000]
    for _ in range(examples(30)):
        content = b"".join(random.choices(pieces, k=random.randint(0, 12)))

        result = run(definition, {"key": "o"}, objects=Objects(o=content))

        assert result.status == "SUCCEEDED", content
        json.dumps(result.output)


def test_any_name_of_an_object_can_be_caught() -> None:
    class Strict(Objects):
        def read(self, bucket: str, key: str) -> bytes:
            raise ValueError("embedded null byte")

    catch = [{"ErrorEquals": ["States.ItemReaderFailed"], "Next": "C"}]
    result = run(
        one(reading(Catch=catch, Next="C"), C={"Type": "Pass", "End": True}), {"key": "\x00"}, objects=Strict()
    )

    assert result.status == "SUCCEEDED"
