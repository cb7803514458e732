"""The work of a function grows at most linearly with its input, or a limit ends it.

Python's functions are counted in executed instructions of the interpreter. A JSONata function runs in a worker, where a
limit of time or memory may end it.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import pytest

from nightferry.states.data import intrinsics, path_filters, paths
from nightferry.states.data.errors import StatesError
from nightferry.states.data.intrinsic_functions import FUNCTIONS
from nightferry.states.data.jsonata_pool import OutOfMemory, OutOfTime, WorkerPool
from nightferry.states.data.scope import Scope
from nightferry.states.language.choice import COMPARISONS, TYPE_TESTS
from nightferry.states.machine.csv_items import UnreadableItems, parse_rows
from nightferry.testing.tiers import LONG

pytestmark = pytest.mark.sampled(8)

SMALL, LARGE = 100, 400
SLACK = 1.3  # for work that does not depend on the input


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1, seconds=0.5)
    yield pool
    pool.close()


def count_steps(call: Callable[[], object]) -> int:
    """Return the number of instructions that Python executes in a call."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return steps


def assert_linear(make_call: Callable[[int], Callable[[], object]]) -> None:
    small, large = count_steps(make_call(SMALL)), count_steps(make_call(LARGE))
    assert large <= small * LARGE / SMALL * SLACK + 2_000


def make_data(size: int) -> dict[str, Any]:
    words = [f"w{n % 7}" for n in range(size)]
    return {
        "text": "ab," * size,
        "numbers": list(range(size)),
        "words": words,
        "object": {f"k{n}": [n] for n in range(size)},
        "json": json.dumps(words),
        "base64": "YWJj" * size,
        "nested": [[n, [n]] for n in range(size)],
    }


CALLS = {
    "States.Array": "States.Array($.numbers, $.object)",
    "States.ArrayContains": "States.ArrayContains($.nested, $.numbers)",
    "States.ArrayGetItem": "States.ArrayGetItem($.numbers, 7)",
    "States.ArrayLength": "States.ArrayLength($.nested)",
    "States.ArrayPartition": "States.ArrayPartition($.numbers, 2)",
    "States.ArrayRange": "States.ArrayRange(0, 999, 1)",
    "States.ArrayUnique": "States.ArrayUnique($.nested)",
    "States.Base64Decode": "States.Base64Decode($.base64)",
    "States.Base64Encode": "States.Base64Encode($.text)",
    "States.Format": "States.Format('{} {}', $.object, $.nested)",
    "States.Hash": "States.Hash($.text, 'SHA-256')",
    "States.JsonMerge": "States.JsonMerge($.object, $.object, false)",
    "States.JsonToString": "States.JsonToString($)",
    "States.MathAdd": "States.MathAdd(1, 2)",
    "States.MathRandom": "States.MathRandom(0, 2147483647, 7)",
    "States.StringSplit": "States.StringSplit($.text, 'b,')",
    "States.StringToJson": "States.StringToJson($.json)",
    "States.UUID": "States.UUID()",
}


PATHS = [
    "$..*",
    "$.numbers[*]",
    "$.numbers[0:100000]",
    "$.numbers[?(@ > 3)]",
    "$.nested[?(@[0] == 3 || @[0] > 7)]",
    "$.nested[?(@ != 3 && (@[0] < 3 || @[0] <= 7 || @[0] >= 9))]",
    "$.groups[?(@.a anyof @.b)]",
    "$.groups[?(@.a subsetof @.b)]",
    "$.groups[?(@.a noneof @.b)]",
    "$.groups[?(@.x in @.a)]",
    "$.groups[?(@.x nin @.a)]",
    "$.groups[?(@.a size 3)]",
    "$.groups[?(@.a empty false)]",
    "$.groups[?(@.a contains @.x)]",
    "$.object.keys()",
    *(f"$.numbers.{name}()" for name in paths.FUNCTIONS if name != "keys"),
]


def test_every_function_and_operator_has_a_case(pool: WorkerPool) -> None:
    """The samples of ``make test`` leave out most cases, but not a new function without a case."""
    assert CALLS.keys() == FUNCTIONS.keys()
    operators = {operator for path in PATHS for operator in re.findall(r"[ ]([a-z]+|[=!<>]+)(?= )", path)}
    assert operators == path_filters.COMPARISONS.keys(), "=~ runs in a JSONata worker"
    used = {name for expression in EXPRESSIONS for name in re.findall(r"\$(\w+)", expression)}
    built_in = set(BUILT_IN.split())
    assert built_in - used == set()
    types = ", ".join(f"$type(${name})" for name in built_in - {"parse"})
    response = pool.evaluate({"source": f"$distinct([{types}])", "bindings": {}, "now": 0, "seed": 0})
    assert response == 'V["function"]', "another name is not a function"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_intrinsic_function(name: str) -> None:
    call = intrinsics.parse(CALLS[name])
    assert_linear(lambda size: lambda: call.evaluate(Scope(make_data(size), {}, dict, "")))


@pytest.mark.parametrize("operator", [*COMPARISONS, *TYPE_TESTS])
def test_choice_operator(operator: str) -> None:
    test: Callable[..., bool] = COMPARISONS.get(operator) or TYPE_TESTS[operator]

    def make_call(size: int) -> Callable[[], object]:
        text = "2026-01-01T00:00:00." + "1" * size + "Z" if "Timestamp" in operator else "a" * size
        pattern = "*a" * (size // 2) + "b"
        arguments = [text] if operator in TYPE_TESTS else [text, pattern if operator == "StringMatches" else text]
        return lambda: test(*arguments)

    assert_linear(make_call)


@pytest.mark.parametrize("path", PATHS)
def test_path(path: str) -> None:
    compiled = paths.parse(path)

    def make_call(size: int) -> Callable[[], object]:
        group = {"a": list(range(size)), "b": list(range(size, 2 * size)), "x": -1}
        data = {**make_data(size), "groups": [group]}
        return lambda: compiled.find(data)

    assert_linear(make_call)


@pytest.mark.long
def test_256_kb_need_little_time_also_in_functions_that_are_not_counted() -> None:
    """Calls of the interpreter's own functions, such as comparisons of lists, are not counted as instructions."""
    data = make_data(30_000) | {"groups": [{"a": list(range(20_000)), "b": list(range(20_000, 40_000)), "x": -1}]}
    calls: list[Callable[[], object]] = [
        *(partial(intrinsics.parse(call).evaluate, Scope(data, {}, dict, "")) for call in CALLS.values()),
        *(partial(paths.parse(path).find, data) for path in PATHS),
        partial(COMPARISONS["StringMatches"], "a" * 125_000, "*a" * 60_000 + "b"),
    ]
    for call in calls:
        before = time.process_time()
        with suppress(StatesError):  # some functions accept at most 10,000 characters
            call()
        assert time.process_time() - before < 5  # a quadratic function needs minutes


@pytest.mark.parametrize("path", ["$" + "..*" * 8, "$" + "[0,0,0]" * 40, "$..*..*..*", "$" + "..[0:9]" * 8])
def test_a_path_that_multiplies_its_matches_ends_at_a_limit(path: str) -> None:
    nested: Any = 1
    for _ in range(300):
        nested = [nested]

    with pytest.raises(paths.TooManyMatches):
        paths.parse(path).find([nested] * 10)


# A call of each function and operator with about 250 kB: $s is a text, $a numbers, $w words, $o an object.
EXPRESSIONS = [
    "$map($a, $abs)", "$append($a, $w)", "$assert(false, $s)", "$average($a)", "$boolean($a)",
    "$base64decode($s)", "$base64encode($s)", "$map($a, $ceil)", "$clone($o)",
    "$contains($s, /(b+)+c/)", "$count($a)", "$decodeUrl($s)", "$decodeUrlComponent($s)", "$distinct($a)",
    "$each($o, function($v, $k) { $k & $v })", "$encodeUrl($s)", "$encodeUrlComponent($s)", "$error($s)",
    "$exists($a)", "$filter($a, function($v, $i, $all) { $v > 3 })", "$map($a, $floor)",
    "$map($a, function($v) { $formatBase($v, 2) })", "$map($a, function($v) { $formatInteger($v, 'w') })",
    "$formatNumber(1, $s)", "$fromMillis(0, $s)", "$hash($s, 'SHA-512')", "$join($w, $s)", "$keys($o)", "$length($s)",
    "$lookup($o, 'k1')", "$lowercase($s)", "$map($a, function($v) { [$a] })", "$match($s, /(a*)*b/)", "$max($a)",
    "$merge($map($a, function($v) { {$string($v): 1} }))", "$min($a)", "$millis()", "$map($a, $not)", "$now($s)",
    "$number($s)", "$pad($s, 9000000)", "$parse($s)", "$parseInteger($s, '0')", "$partition($a, 1)",
    "$map($a, function($v) { $power($v, 3) })", "$random()", "$range(0, 300000, 1)",
    "$reduce($a, function($x, $y) { $append($x, $y) })", "$replace($s, /a|b/, 'xx')", "$reverse($a)",
    "$map($a, $round)", "$shuffle($a)", "$sift($o, function($v) { true })", "$single($a, function($v) { $v = 3 })",
    "$sort($a, function($x, $y) { $x < $y })", "$split($s, /b*/)", "$spread($o)", "$map($a, $sqrt)", "$string($o)",
    "$substring($s, 3)", "$substringAfter($s, 'x')", "$substringBefore($s, 'x')", "$sum($a)", "$toMillis($s, '[Y]')",
    "$trim($s)", "$type($o)", "$uppercase($s)", "$uuid()", "$zip($a, $w)", "$a^(>$)", "$a{$string($): $}", "$o.**.**",
    "$o ~> |$|{'z': 1}|", "$count($w.{'x': $}.x.%)", "$count($a@$x.$a@$y[$x = $y])", "$a = $a", "$a[$ in $a]",
]  # fmt: skip
# The functions of JSONata 2.0.6 (docs.jsonata.org) and of Step Functions; both remove $eval.
BUILT_IN = """
abs append assert average base64decode base64encode boolean ceil clone contains count decodeUrl decodeUrlComponent
distinct each encodeUrl encodeUrlComponent error exists filter floor formatBase formatInteger formatNumber fromMillis
hash join keys length lookup lowercase map match max merge millis min not now number pad parse parseInteger partition
power random range reduce replace reverse round shuffle sift single sort split spread sqrt string substring
substringAfter substringBefore sum toMillis trim type uppercase uuid zip
"""
SAMPLE = ["$distinct($a)", "$match($s, /(a*)*b/)", "$reduce($a, function($x, $y) { $append($x, $y) })"]


@pytest.mark.parametrize("expression", EXPRESSIONS if LONG else SAMPLE)
def test_jsonata_function(pool: WorkerPool, expression: str) -> None:
    bindings = {
        "s": "ab" * 125_000,
        "a": list(range(45_000)),
        "w": ["word"] * 35_000,
        "o": {f"k{n}": n for n in range(15_000)},
    }
    source = f"($parse := $parse_; {expression})"
    try:
        response = pool.evaluate({"source": source, "bindings": bindings, "now": 0, "seed": 0})
        assert response[0] in "VUE"
    except (OutOfTime, OutOfMemory):
        pass
    assert pool.evaluate({"source": "1 + 1", "bindings": {}, "now": 0, "seed": 0}) == "V2"


@pytest.mark.parametrize("row", ['a,"b""c\\,",""\n', '"', '""x', "\\", "\r", ",", '"a"b"'])
def test_csv(row: str) -> None:
    def make_call(size: int) -> Callable[[], object]:
        text = row * size

        def call() -> None:
            with suppress(UnreadableItems):
                list(parse_rows(text, ","))

        return call

    assert_linear(make_call)
