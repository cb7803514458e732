"""Reading a Map state: inline and distributed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nightferry.states.data.expressions import Constant, Expression
from nightferry.states.language import model
from nightferry.states.language.fields import Fields

_READERS = {"s3:listObjectsV2", "s3:getObject"}
_INPUT_TYPES = {"CSV", "JSON", "JSONL", "MANIFEST", "PARQUET"}
_DISTRIBUTED_ONLY = (
    "ItemReader",
    "ItemBatcher",
    "ResultWriter",
    "Label",
    "ToleratedFailureCount",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentage",
    "ToleratedFailurePercentagePath",
)


def map_fields(fields: Fields, common: dict[str, Any], branch: Callable[[Fields], model.Program]) -> model.MapState:
    """A Map state; ``branch`` reads the states within it."""
    processor, distributed = _processor(fields, branch)
    if not distributed:
        for name in _DISTRIBUTED_ONLY:
            if fields.has(name):
                fields.problem(
                    name, f'{name} needs a distributed Map: "ProcessorConfig": {{"Mode": "DISTRIBUTED", …}}.'
                )
    label = fields.text("Label")
    if label is not None and (len(label) > 40 or not label or any(c in '?*<>{}[]:;,\\|^~$#%&`" ' for c in label)):
        fields.problem("Label", "A label has 1 to 40 characters without white space and wildcards.")
    items = _items(fields)
    return model.MapState(
        **common,
        processor=processor,
        distributed=distributed,
        label=label,
        items=items,
        item_selector=_item_selector(fields),
        max_concurrency=fields.whole("MaxConcurrency", 0, path=True),
        tolerated_count=fields.whole("ToleratedFailureCount", 0, path=True),
        tolerated_percentage=_percentage(fields),
        reader=_reader(fields),
        batcher=_batcher(fields),
        writer=_writer(fields),
    )


def _processor(fields: Fields, branch: Callable[[Fields], model.Program]) -> tuple[model.Program, bool]:
    names = [name for name in ("ItemProcessor", "Iterator") if fields.has(name)]
    if len(names) != 1:
        fields.problem(None, "A Map state has an ItemProcessor (or, in old definitions, an Iterator instead).")
    part = fields.part(names[0]) if names else None
    if part is None:
        return model.Program("", {}), False
    config = part.part("ProcessorConfig")
    mode = "INLINE"
    if config is not None:
        mode = config.text("Mode") or "INLINE"
        if mode not in ("INLINE", "DISTRIBUTED"):
            config.problem("Mode", f"The modes are INLINE and DISTRIBUTED, not {mode!r}.")
        kind = config.text("ExecutionType")
        if mode == "DISTRIBUTED" and kind is None:
            config.problem(None, "A distributed Map needs an ExecutionType: STANDARD or EXPRESS.")
        if kind not in (None, "STANDARD", "EXPRESS"):
            config.problem("ExecutionType", f"The execution types are STANDARD and EXPRESS, not {kind!r}.")
        config.reject_unknown_fields()
    return branch(part), mode == "DISTRIBUTED"


def _items(fields: Fields) -> Expression | None:
    if fields.language_now == "JSONPath":
        return fields.reference("ItemsPath")
    if not fields.has("Items"):
        return None
    value = fields.source["Items"]
    expression = fields.jsonata_only("Items")
    if expression is None and not isinstance(value, list | dict):
        fields.problem("Items", "Items is an array or a JSONata expression {% … %}.")
    return fields.template("Items")


def _item_selector(fields: Fields) -> Expression | None:
    if fields.language_now == "JSONata":
        return fields.template("ItemSelector")
    if fields.has("ItemSelector") and fields.has("Parameters"):
        fields.problem(None, "A Map state has ItemSelector or (in old definitions) Parameters, not both.")
    return fields.template("ItemSelector") if fields.has("ItemSelector") else fields.template("Parameters")


def _percentage(fields: Fields) -> Expression | None:
    name = "ToleratedFailurePercentage"
    if fields.language_now == "JSONPath" and fields.has(f"{name}Path"):
        if fields.has(name):
            fields.problem(None, f"A Map state has {name} or {name}Path, not both.")
        return fields.reference(f"{name}Path")
    expression = fields.jsonata_only(name)
    if expression is not None:
        return expression
    value = fields.number(name, 0, 100)
    return None if value is None else Constant(value)


def _reader(fields: Fields) -> model.ItemReader | None:
    part = fields.part("ItemReader")
    if part is None:
        return None
    if fields.has("ItemsPath") and fields.language_now == "JSONPath":
        fields.problem("ItemsPath", "A Map state reads its items with ItemReader or takes them by ItemsPath, not both.")
    resource = _resource(part, _READERS)
    parameters = part.template("Parameters" if part.language_now == "JSONPath" else "Arguments")
    config = part.part("ReaderConfig")
    max_items = None
    if config is not None:
        kind = config.text("InputType")
        if kind not in (None, *_INPUT_TYPES):
            config.problem("InputType", f"The input types are {', '.join(sorted(_INPUT_TYPES))}, not {kind!r}.")
        where = config.text("CSVHeaderLocation")
        if where not in (None, "FIRST_ROW", "GIVEN"):
            config.problem("CSVHeaderLocation", f"The header is in the FIRST_ROW or GIVEN, not {where!r}.")
        if kind == "CSV" and where is None:
            config.problem(None, "CSV needs CSVHeaderLocation: FIRST_ROW or GIVEN.")
        headers = config.raw("CSVHeaders")
        if where == "GIVEN" and not isinstance(headers, list):
            config.problem(None, "CSVHeaderLocation GIVEN needs CSVHeaders, a list of names.")
        for name in ("CSVDelimiter", "ItemsPointer", "Transformation", "ManifestType", "VersionId"):
            config.text(name)
        delimiter = config.raw("CSVDelimiter")
        if delimiter not in (None, *model.CSV_DELIMITERS):
            config.problem("CSVDelimiter", f"The delimiters are {', '.join(model.CSV_DELIMITERS)}, not {delimiter!r}.")
        max_items = config.whole("MaxItems", 1, 100_000_000, path=True)
        config.reject_unknown_fields()
    part.reject_unknown_fields()
    return model.ItemReader(
        resource=resource,
        parameters=parameters,
        config=None if config is None else config.source,
        max_items=max_items,
    )


def _resource(part: Fields, allowed: set[str]) -> str:
    resource = part.text("Resource", required=True) or ""
    if resource and resource.partition(":states:::")[2] not in allowed:
        names = " or ".join(f"arn:aws:states:::{name}" for name in sorted(allowed))
        part.problem("Resource", f"The resource must be {names}, not {resource!r}.")
    return resource


def _batcher(fields: Fields) -> model.ItemBatcher | None:
    part = fields.part("ItemBatcher")
    if part is None:
        return None
    batcher = model.ItemBatcher(
        max_items=part.whole("MaxItemsPerBatch", 1, path=True),
        max_bytes=part.whole("MaxInputBytesPerBatch", 1, 262_144, path=True),
        batch_input=part.object_template("BatchInput"),
    )
    if batcher.max_items is None and batcher.max_bytes is None:
        part.problem(None, "An ItemBatcher needs MaxItemsPerBatch or MaxInputBytesPerBatch.")
    part.reject_unknown_fields()
    return batcher


def _writer(fields: Fields) -> model.ResultWriter | None:
    part = fields.part("ResultWriter")
    if part is None:
        return None
    resource = _resource(part, {"s3:putObject"}) if part.has("Resource") else None
    parameters = part.template("Parameters" if part.language_now == "JSONPath" else "Arguments")
    if (resource is None) != (parameters is None):
        part.problem(None, "A ResultWriter that writes needs both Resource and where to write.")
    config = part.part("WriterConfig")
    if config is not None:
        transformation, output = config.text("Transformation"), config.text("OutputType")
        if transformation not in (None, "NONE", "COMPACT", "FLATTEN"):
            config.problem(
                "Transformation", f"The transformations are NONE, COMPACT and FLATTEN, not {transformation!r}."
            )
        if output not in (None, "JSON", "JSONL"):
            config.problem("OutputType", f"The output types are JSON and JSONL, not {output!r}.")
        config.reject_unknown_fields()
    elif resource is None:
        part.problem(None, "A ResultWriter needs a Resource or a WriterConfig.")
    part.reject_unknown_fields()
    return model.ResultWriter(
        resource=resource, parameters=parameters, config=None if config is None else config.source
    )
