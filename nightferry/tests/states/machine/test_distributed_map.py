from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from nightferry.states import ListedObject, Result, UnknownResource, run
from nightferry.states.machine.items import UnreadableItems, parse_items
from nightferry.states.machine.map_items import make_batches
from tests.states.machines import details, one, types

GET, LIST, PUT = (f"arn:aws:states:::s3:{action}" for action in ("getObject", "listObjectsV2", "putObject"))


class Objects:
    """A store of objects in memory."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = dict(contents)

    def read(self, bucket: str, key: str) -> bytes:
        return self.contents[key]

    def list(self, bucket: str, prefix: str) -> Iterable[ListedObject]:
        return [ListedObject(key, len(c)) for key, c in sorted(self.contents.items()) if key.startswith(prefix)]

    def write(self, bucket: str, key: str, content: bytes) -> None:
        self.contents[key] = content


def distributed(program: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    program = program or {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    return {"Type": "Map", "ItemProcessor": {"ProcessorConfig": config, **program}, **fields}


def reading(config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    reader = {"Resource": GET, "Parameters": {"Bucket": "b", "Key.$": "$.key"}}
    return distributed(ItemReader=reader if config is None else {**reader, "ReaderConfig": config}, **fields)


def failing_on(*values: Any) -> dict[str, Any]:
    return {
        "StartAt": "C",
        "States": {
            "C": {
                "Type": "Choice",
                "Choices": [
                    {"Or": [{"Variable": "$", "NumericEquals": v} for v in values], "Next": "F"},
                ],
                "Default": "P",
            },
            "F": {"Type": "Fail", "Error": "Boom"},
            "P": {"Type": "Pass", "End": True},
        },
    }


@pytest.mark.parametrize(
    ("content", "config", "items"),
    [
        (b"[1, 2]", {}, [1, 2]),
        (b'{"a": 1}', {"InputType": "JSON"}, [{"Key": "a", "Value": 1}]),
        (b'{"d": {"rows": [1]}}', {"InputType": "JSON", "ItemsPointer": "/d/rows"}, [1]),
        (b'{"a": 1}\n\n[2]\n"x"', {"InputType": "JSONL"}, [{"a": 1}, [2], "x"]),
        (
            b'\xef\xbb\xbfname,n\r\n"a,b",1\r\nc\r\n',
            {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
            [{"name": "a,b", "n": "1"}, {"name": "c", "n": ""}],
        ),
        (  # only LF ends a line
            '{"a": "b\u2028c\x85d"}\r\n[2]\n \n'.encode(),
            {"InputType": "JSONL"},
            [{"a": "b\u2028c\x85d"}, [2]],
        ),
        (
            b"1|2|3\n",
            {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["x", "y"], "CSVDelimiter": "PIPE"},
            [{"x": "1", "y": "2"}],
        ),
    ],
)
def test_items_are_read(content: bytes, config: dict[str, Any], items: list[Any]) -> None:
    assert [item.input for item in parse_items(content, config)] == items

    result = run(one(reading(config or None)), {"key": "o"}, objects=Objects(o=content))

    assert result.output == items


@pytest.mark.parametrize(
    ("content", "config"),
    [
        (b"{", {}),
        (b"3", {}),
        (b"\xff", {}),
        (b'{"a":1}', {"ItemsPointer": "/b"}),
        (b"{}\n{", {"InputType": "JSONL"}),
        (b"[1]\r[2]", {"InputType": "JSONL"}),
        ("[1]\u2028[2]".encode(), {"InputType": "JSONL"}),
        ("\u2028".encode(), {"InputType": "JSONL"}),
        (b"", {"InputType": "MANIFEST"}),
        (b"PAR1", {"InputType": "PARQUET"}),
        (b'a\n"b', {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}),
    ],
)
def test_unreadable_items(content: bytes, config: dict[str, Any]) -> None:
    with pytest.raises(UnreadableItems):
        parse_items(content, config)


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"InputType": "MANIFEST"}, "MANIFEST"),
        ({"ManifestType": "S3_INVENTORY"}, "S3_INVENTORY"),
        ({"ManifestType": "ATHENA_DATA", "InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}, "ATHENA_DATA"),
        ({"InputType": "PARQUET"}, "PARQUET"),
    ],
)
def test_a_format_that_is_not_supported_is_named(config: dict[str, Any], cause: str) -> None:
    result = run(one(reading(config)), {"key": "o"}, objects=Objects(o=b"[]"))

    assert result.error == "States.ItemReaderFailed"
    assert f"Type {cause} is not supported" in (result.cause or "")


def test_a_compressed_object_is_not_read() -> None:
    result = run(one(reading()), {"key": "o.gz"}, objects=Objects(**{"o.gz": b"[]"}))

    assert result.error == "States.ItemReaderFailed"
    assert "s3://b/o.gz is compressed" in (result.cause or "")


_SELECTOR = {"k.$": "$$.Map.Item", "i.$": "$$.Map.Item.Index"}


def test_the_objects_of_a_listing_are_flattened() -> None:
    reader = {
        "Resource": LIST,
        "Parameters": {"Bucket": "b", "Prefix": "in_"},
        "ReaderConfig": {"InputType": "JSON", "Transformation": "LOAD_AND_FLATTEN", "MaxItems": 3},
    }
    objects = Objects(in_a=b'[1, "x"]', in_b=b'{"k": 2, "l": 3}', in_c=b"not read", out=b"[4]")

    result = run(one(distributed(ItemReader=reader, ItemSelector=_SELECTOR)), objects=objects)

    assert [item["k"] for item in result.output] == [
        {"Index": 0, "Value": 1, "Source": "s3://b/in_a"},
        {"Index": 1, "Value": "x", "Source": "s3://b/in_a"},
        {"Index": 2, "Key": "k", "Value": 2, "Source": "s3://b/in_b"},
    ]


def test_the_source_of_items() -> None:
    """AWS names the bucket of a listing, the object of items, and STATE_DATA for the state's input."""
    listing = {"Resource": LIST, "Parameters": {"Bucket": "b", "Prefix": "o"}}
    source = {"s.$": "$$.Map.Item.Source"}

    for state, expected in [
        (distributed(ItemReader=listing, ItemSelector=source), "s3://b"),
        (reading(ItemSelector=source), "s3://b/o"),
        (distributed(ItemsPath="$.rows", ItemSelector=source), "STATE_DATA"),
    ]:
        result = run(one(state), {"key": "o", "rows": [1]}, objects=Objects(o=b"[1]"))
        assert result.output == [{"s": expected}]


@pytest.mark.parametrize("language", ["JSONPath", "JSONata"])
def test_an_object_as_items(language: str) -> None:
    """A child's input is the key and the value; ItemSelector reads both from the context object."""
    items = {"a": 1, "b": {"x": 2}}
    paths = language == "JSONPath"
    name = "k.$" if paths else "k"
    fields: dict[str, Any] = {} if paths else {"QueryLanguage": "JSONata", "Items": "{% $states.input.rows %}"}
    fields |= {"ItemsPath": "$.rows"} if paths else {}
    selector = {name: "$$.Map.Item.Key" if paths else "{% $states.context.Map.Item.Key %}"}

    plain = run(one(distributed(**fields)), {"rows": items})
    selected = run(one(distributed(ItemSelector=selector, **fields)), {"rows": items})
    batches = run(one(distributed(ItemBatcher={"MaxItemsPerBatch": 9}, **fields)), {"rows": items})

    assert plain.output == [{"Key": "a", "Value": 1}, {"Key": "b", "Value": {"x": 2}}]
    assert selected.output == [{"k": "a"}, {"k": "b"}]
    assert batches.output == [{"Items": plain.output}]


def test_an_inline_map_has_no_object_as_items() -> None:
    state = distributed(ItemsPath="$.rows")
    del state["ItemProcessor"]["ProcessorConfig"]

    result = run(one(state), {"rows": {"a": 1}})

    assert (result.error, "must point to array" in (result.cause or "")) == ("States.Runtime", True)


def test_a_failed_reader_can_be_caught() -> None:
    state = reading(Catch=[{"ErrorEquals": ["States.ItemReaderFailed"], "Next": "C"}], Next="C")

    result = run(one(state, C={"Type": "Pass", "End": True}), {"key": "o"}, objects=Objects(o=b"{"))

    assert result.output["Error"] == "States.ItemReaderFailed"
    assert "JSON" in result.output["Cause"]


def test_a_listing_with_max_items() -> None:
    reader = {
        "Resource": LIST,
        "Parameters": {"Bucket": "b", "Prefix": "in_"},
        "ReaderConfig": {"MaxItemsPath": "$.most"},
    }
    objects = Objects(in_a=b"1", in_b=b"12", in_c=b"", out=b"")

    result = run(one(distributed(ItemReader=reader)), {"most": 2}, objects=objects)

    assert [(item["Key"], item["Size"]) for item in result.output] == [("in_a", 1), ("in_b", 2)]


def test_a_reader_without_objects_is_rejected() -> None:
    with pytest.raises(UnknownResource, match="getObject"):
        run(one(reading()), {"key": "o"})


def test_children_are_separate_executions() -> None:
    result = run(one(distributed(ItemSelector={"v.$": "$$.Map.Item.Value"}, Label="all")), ["a", "b"])

    assert result.output == [{"v": "a"}, {"v": "b"}]
    assert types(result) == [
        "ExecutionStarted",
        "MapStateEntered",
        "MapStateStarted",
        "MapRunStarted",
        "MapRunSucceeded",
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]
    children = [event for event in result.events if event.child]
    assert [event.id for event in children if event.child.endswith("/1")] == [1, 2, 3, 4]
    assert details(result, "MapRunStarted")[0]["mapRunArn"].startswith("arn:aws:states:us-east-1:000000000000:mapRun:")


def test_children_do_not_see_outer_variables() -> None:
    inner = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Parameters": {"x.$": "$x"}, "End": True}}}
    definition = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Pass", "Assign": {"x": 1}, "Result": [1], "Next": "M"},
            "M": distributed(inner) | {"End": True},
        },
    }

    assert run(definition).error == "States.ExceedToleratedFailureThreshold"


@pytest.mark.parametrize(
    ("tolerated", "status"),
    [
        ({}, "FAILED"),
        ({"ToleratedFailureCount": 1}, "FAILED"),
        ({"ToleratedFailureCount": 2}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 49}, "FAILED"),
        ({"ToleratedFailurePercentage": 50}, "SUCCEEDED"),
        ({"ToleratedFailureCountPath": "$$.Execution.Input[1]"}, "SUCCEEDED"),
    ],
)
def test_tolerated_failures(tolerated: dict[str, Any], status: str) -> None:
    result = run(one(distributed(failing_on(1, 2), **tolerated)), [1, 2, 3, 4])

    assert result.status == status
    if status == "SUCCEEDED":
        assert result.output == [3, 4]
    else:
        assert result.error == "States.ExceedToleratedFailureThreshold"
        assert types(result)[-3:] == ["MapRunFailed", "MapStateFailed", "ExecutionFailed"]


def test_batches_of_items() -> None:
    batcher = {"MaxItemsPerBatch": 2, "BatchInput": {"day.$": "$.day"}}

    result = run(one(distributed(ItemsPath="$.items", ItemBatcher=batcher)), {"day": "d", "items": [1, 2, 3]})

    assert result.output == [{"BatchInput": {"day": "d"}, "Items": [1, 2]}, {"BatchInput": {"day": "d"}, "Items": [3]}]
    assert details(result, "MapStateStarted") == [{"length": 3}]


def test_batches_of_bytes() -> None:
    found = make_batches(["x" * 50] * 5, None, 130)

    assert [len(batch) for batch in found] == [2, 2, 1]
    assert all(len(json.dumps({"Items": batch})) <= 130 for batch in found)
    assert make_batches(["x" * 500, 1], None, 130) == [["x" * 500], [1]]


def run_writer(config: dict[str, Any] | None = None) -> tuple[Result, Objects]:
    writer: dict[str, Any] = {"Resource": PUT, "Parameters": {"Bucket": "b", "Prefix": "out"}}
    objects = Objects()
    state = distributed(ResultWriter=writer if config is None else {**writer, "WriterConfig": config})
    return run(one(state), [[1], [2, 3]], objects=objects), objects


def test_results_are_written_with_a_manifest() -> None:
    result, objects = run_writer()

    manifest = json.loads(objects.contents[result.output["ResultWriterDetails"]["Key"]])
    (file,) = manifest["ResultFiles"]["SUCCEEDED"]
    assert json.loads(objects.contents[file["Key"]]) == [[1], [2, 3]]
    assert file["Size"] == len(objects.contents[file["Key"]])
    assert result.output["MapRunArn"] == details(result, "MapRunStarted")[0]["mapRunArn"]


def test_results_are_flattened_and_written_as_lines() -> None:
    _, objects = run_writer({"Transformation": "FLATTEN", "OutputType": "JSONL"})

    (lines,) = [content for key, content in objects.contents.items() if key.endswith(".jsonl")]
    assert lines == b"1\n2\n3\n"


def test_a_writer_config_alone_formats_the_output() -> None:
    state = distributed(ResultWriter={"WriterConfig": {"Transformation": "FLATTEN"}})

    assert run(one(state), [[1], [2, 3]]).output == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "delimiter", "fields"),
    [
        ("a,b\n", "COMMA", ["a", "b"]),
        ('"a,b",c', "COMMA", ["a,b", "c"]),
        ('"a\nb",c', "COMMA", ["a\nb", "c"]),
        ('"a ""quoted"" b"', "COMMA", ['a "quoted" b']),
        ('{""MyKey"":""MyValue""},1', "COMMA", ['{"MyKey":"MyValue"}', "1"]),
        ('"",x', "COMMA", ["", "x"]),
        (r"C:\\Program Files\\MyApp.exe,65", "COMMA", [r"C:\Program Files\MyApp.exe", "65"]),
        (r"a\,b,c", "COMMA", ["a,b", "c"]),
        (r"a\|b|c\,d", "PIPE", ["a|b", "c,d"]),
        (r"a\nb", "COMMA", ["anb"]),
        (r"\"a\",b", "COMMA", ['"a"', "b"]),
        ("a\\", "COMMA", ["a"]),
        ("a b  c", "SPACE", ["a", "b", "", "c"]),
        ("a\tb", "TAB", ["a", "b"]),
        ("x" * 300_000 + ",\x00\x1c\u2028y", "COMMA", ["x" * 300_000, "\x00\x1c\u2028y"]),
    ],
)
def test_the_fields_of_a_row(text: str, delimiter: str, fields: list[str]) -> None:
    names = [f"f{index}" for index in range(4)]
    config = {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": names, "CSVDelimiter": delimiter}

    [item] = parse_items(text.encode(), config)

    assert list(item.value.values()) == [*fields, *[""] * (4 - len(fields))]
