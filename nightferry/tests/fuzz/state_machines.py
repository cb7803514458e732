"""Parsers of state machines and of the data that they read."""

from __future__ import annotations

import json
import warnings
from random import Random
from typing import Any

from nightferry.states import InvalidDefinition, InvalidInput, StatesError, run, validate
from nightferry.states.data import (
    expressions,
    intrinsic_functions,
    intrinsics,
    jsonata,
    jsonata_references,
    jsonata_worker,
    path_filters,
    path_names,
    paths,
    payload,
)
from nightferry.states.data.scope import Scope
from nightferry.states.language import (
    choice,
    choice_parser,
    error_fields,
    fields,
    map_parser,
    parser,
    placeholders,
    resources,
    rules,
    yaml_text,
)
from nightferry.states.machine import csv_items, items
from nightferry.states.task_results import InvalidResults, TaskResults
from nightferry.testing.fuzzing import NOTHING, Parser, from_json, from_text
from nightferry.testing.fuzzing.parser import Form
from tests.states.machine.test_recorded_cases import CASES

DATA = {"a": {"b": [1, 2, {"c": "x", "n": 3}], "name": "é"}, "list": [3, 1, 2], "text": "a,b", "null": None}
KINDS = [case for case in CASES if "#" not in case["name"]]

_PATHS = (
    "$",
    "$.a.b[0]",
    "$.a.b[-1].c",
    "$.a['b'][0:2]",
    "$..c",
    "$.list[*]",
    "$.a.b[?(@.n > 2 && @.c == 'x')]",
    "$.a.b[?(@.c =~ /x.*/i)]",
    "$$.Execution.Id",
    "$x.y",
    "$.a['name', 'b']",
    "$.list.length()",
    "$.a.b[?(!@.n)]",
)
_CALLS = (
    "States.Format('{} is {}', $.text, $.list[0])",
    "States.StringToJson('{\"a\": 1}')",
    "States.UUID()",
    "States.ArrayRange(1, 9, 2)",
    "States.Array($.a, States.MathAdd(1, -2), true, null, 1.5)",
    "States.ArrayPartition($.list, 2)",
    "States.ArrayContains($.list, 3)",
    "States.Base64Encode('a')",
    "States.Base64Decode('YQ==')",
    "States.Hash('a', 'SHA-256')",
    "States.JsonMerge($.a, $.a, false)",
    "States.StringSplit('a,b', ',')",
    "States.ArrayGetItem($.list, 0)",
    "States.MathRandom(1, 9)",
    "States.ArrayUnique($.list)",
    "States.ArrayLength($.list)",
    "States.JsonToString($.a)",
)
_JSONATA = (
    "$states.input.a.b[0]",
    "$sum($states.input.list) + 1",
    "$map([1..3], function($v) { $v * 2 })",
    "$x.y ? 'a' : \"b\"",
    "$parse('{\"a\": 1}')",
    "$states.input.a.b[n > 2].c & 'z'",
    "($a := 1; $a ~> $string())",
    "$match('abc', /b(c)/).groups[0]",
    "$partition([1,2,3], 2)",
    "$range(1, 5, 2)",
    "$hash('a', 'SHA-1')",
    "{'a': [1..4], `b c`: null}",
    "$states.input.list^(>$)",
    "$uuid() != $random()",
    "/* c */ $states.context.State",
)
_WORDS = (
    b"$states.input",
    b"States.Format(",
    b"[?(@.",
    b"{% ",
    b" %}",
    b"~>",
    b"..",
    b":=",
    b"=~ /",
    b"\\\\",
    b"'\\''",
)


def _scope() -> Scope:
    return Scope(
        DATA, {"x": {"y": 1}}, lambda: {"Execution": {"Id": "1"}}, "", {"input": DATA}, new_rng=lambda: Random(1)
    )


def _read_path(text: str) -> Any:
    return paths.parse(text).find(DATA)


def _put(text: str) -> Any:
    path = paths.parse(text)
    if not paths.is_reference(path):
        raise paths.PathSyntaxError("not a reference path")
    return expressions.compile_path(text)


def _call(text: str) -> Any:
    return intrinsics.parse(text).evaluate(_scope())


def _parse_jsonata(text: str) -> Any:
    compiled = jsonata.parse(text)
    return compiled.find_forbidden_reference(error_output=False)


def _respond(data: bytes) -> Any:
    """Evaluate in this process what a worker process evaluates, with its limit of time in place of the pool's."""
    source = data.decode("utf-8", "replace")
    try:
        reads = jsonata.parse(source)
    except jsonata.JsonataSyntaxError:
        raise
    request = {"source": reads.source, "bindings": {"states": {"input": DATA}, "x": {"y": 1}}, "now": 0, "seed": 1}
    response = jsonata_worker._respond(json.dumps({**request, "seconds": 0.3}).encode())
    assert response[0] in "VUFE", response
    return response


def _evaluate_template(value: Any) -> Any:
    return expressions.compile_template(value, "JSONPath").evaluate(_scope(), "Parameters")


def _validate(text: str) -> Any:
    problems = validate(text)
    return NOTHING if any(problem.path in ("", "$") for problem in problems) else problems


def _run(definition: Any) -> Any:
    problems = validate(definition)
    if problems:
        raise InvalidDefinition(problems)
    return run(definition, DATA)


def _fill(text: str) -> Any:
    return validate(json.dumps(placeholders.fill(payload.loads(placeholders.fill_bare(text)))))


def _read_items(kind: str, **config: Any) -> Any:
    return lambda data: items.parse_items(data, {"InputType": kind, **config})


def _check_results(value: Any) -> Any:
    definition = parser.parse(
        {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "arn:aws:states:::x:y", "End": True}}}
    )
    return TaskResults(value, definition)


def _definitions() -> list[bytes]:
    return [json.dumps(case["definition"]).encode() for case in KINDS[::3]]


def _texts(*texts: str) -> Any:
    return lambda: [text.encode() for text in texts]


_YAML = """StartAt: A
States:
  A:
    Type: Pass
    Result: {a: [1, 2.5, true, ~], "b": 'x'}
    Next: B
  B:
    Type: Task
    Resource: ${LoadFunctionArn}
    Comment: |
      two
      lines
    End: true
"""

warnings.simplefilter("ignore")
LANGUAGE = (parser, choice, choice_parser, map_parser, fields, rules, error_fields)
PARSERS = [
    Parser("state machine, validated", from_text(_validate), _definitions, (), LANGUAGE, Form.JSON, _WORDS, weight=8),
    Parser(
        "state machine, run",
        from_json(_run),
        _definitions,
        (InvalidDefinition, InvalidInput),
        (parser, fields),
        Form.JSON,
        weight=3,
        cpu=8,
    ),
    Parser(
        "state machine with placeholders",
        from_text(_fill),
        _texts(
            json.dumps({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${Arn}", "TimeoutSeconds": 7}}}),
            '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:lambda:${R}:${A}:function:${F}", '
            '"TimeoutSeconds": ${T}, "End": true}}}',
        ),
        (payload.NotJson,),
        (placeholders,),
        Form.JSON,
        (b"${A}", b"${", b"}"),
    ),
    Parser(
        "YAML",
        from_text(yaml_text.load_yaml),
        _texts(_YAML),
        (payload.NotJson,),
        (yaml_text,),
        weight=2,
        words=(
            b"&a ",
            b"*a",
            b"<<: ",
            b"!!python/object:os.system ",
            b"? ",
            b"- ",
            b": ",
            b"|\n",
            b">-\n",
            b"---\n",
            b"%YAML",
        ),
        max_bytes=8192,
    ),
    Parser(
        "JSON",
        from_text(payload.loads),
        _texts(json.dumps(DATA), '[1, -2.5e3, "\\u00e9\\ud83d\\ude00"]'),
        (payload.NotJson,),
        (payload.loads, payload._explain),
        Form.JSON,
        weight=20,
    ),
    Parser(
        "JSONPath",
        from_text(_read_path),
        _texts(*_PATHS),
        (paths.PathSyntaxError, paths.PathNotFound, paths.TooManyMatches, path_filters.MatchingFailed),
        (paths, path_filters, path_names),
        words=_WORDS,
        weight=40,
    ),
    Parser(
        "reference path",
        from_text(_put),
        _texts("$.a", "$.a.b[0]", "$['a b'].c"),
        (paths.PathSyntaxError, expressions.BadExpression),
        (paths._Parser,),
        words=_WORDS,
        weight=20,
    ),
    Parser(
        "intrinsic function",
        from_text(_call),
        _texts(*_CALLS),
        (intrinsics.IntrinsicSyntaxError, StatesError),
        (intrinsics, intrinsic_functions),
        words=_WORDS,
        weight=40,
    ),
    Parser(
        "JSONata, parsed",
        from_text(_parse_jsonata),
        _texts(*_JSONATA),
        (jsonata.JsonataSyntaxError,),
        (jsonata_references, jsonata.parse),
        words=_WORDS,
        weight=20,
    ),
    Parser(
        "JSONata, evaluated",
        _respond,
        _texts(*_JSONATA),
        (jsonata.JsonataSyntaxError,),
        (
            jsonata_worker._respond,
            jsonata_worker._evaluate,
            jsonata_worker.make_functions,
            jsonata_worker._partition,
            jsonata_worker._range,
            jsonata_worker._hash,
            jsonata_worker._parse,
        ),
        words=_WORDS,
        weight=4,
        cpu=3,
        memory=512 << 20,
    ),
    Parser(
        "payload template",
        from_json(_evaluate_template),
        _texts(
            json.dumps({"a.$": "$.a.b[0]", "b": {"c.$": "States.Format('{}', $.text)"}, "d": [{"e.$": "$$.Execution"}]})
        ),
        (expressions.BadExpression, StatesError),
        (expressions,),
        Form.JSON,
        _WORDS,
        weight=20,
    ),
    Parser(
        "items in JSON",
        _read_items("JSON", ItemsPointer="/a/b"),
        _texts(json.dumps(DATA), '{"a": {"b": {"c": 1}}}'),
        (items.UnreadableItems,),
        (items.parse_items, items._parse_json),
        Form.JSON,
        weight=20,
    ),
    Parser(
        "items in JSON lines",
        _read_items("JSONL"),
        _texts('{"a": 1}\n{"a": 2}\r\n\n[1]\n"x"', "1\n2\n3"),
        (items.UnreadableItems,),
        (items._parse_line,),
        weight=20,
    ),
    Parser(
        "items in CSV",
        _read_items("CSV", CSVHeaderLocation="FIRST_ROW"),
        _texts('id,name\r\n1,"a ""b"", c"\n2,x\\,y\n\n3,"two\nlines"\n', 'a,b\n"1",2'),
        (items.UnreadableItems,),
        (csv_items,),
        words=(b'"', b'""', b"\\", b',"', b'",'),
        weight=20,
    ),
    Parser(
        "ARN of a task's resource",
        from_text(resources.parse),
        _texts(
            "arn:aws:states:::ecs:runTask.sync",
            "arn:aws:lambda:us-east-1:123456789012:function:f:1",
            "arn:aws:states:::aws-sdk:s3:getObject",
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        ),
        (ValueError,),
        (resources,),
        weight=20,
    ),
    Parser(
        "results of tasks",
        from_json(_check_results),
        _texts('{"T": [{"value": 1}, {"error": "E", "cause": "c"}]}', '{"T": {"value": null}}'),
        (InvalidResults,),
        (TaskResults.__init__,),
        Form.JSON,
    ),
]
