"""Parsing of inline and distributed Map states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nightferry.states.data.expressions import Constant, Expression
from nightferry.states.language import model
from nightferry.states.language.fields import Fields

_READERS = {"s3:listObjectsV2", "s3:getObject"}
_INPUT_TYPES = ("CSV", "JSON", "JSONL", "MANIFEST", "PARQUET")
_DISTRIBUTED_ONLY = (
    "ItemReader",
    "ItemBatcher",
    "ResultWriter",
    "Label",
)


def parse_map(fields: Fields, common: dict[str, Any], branch: Callable[[Fields], model.Program]) -> model.MapState:
    """Parse a Map state; ``branch`` parses the states in it."""
    processor, distributed, express = _read_processor(fields, branch)
    if not distributed:
        for name in _DISTRIBUTED_ONLY:
            if fields.has(name):
                fields.report(
                    name, f'{name} requires a distributed Map: "ProcessorConfig": {{"Mode": "DISTRIBUTED", …}}.'
                )
    label = fields.read_text("Label")
    if label is not None and (len(label) > 40 or not label or any(c in '?*<>{}[]:;,\\|^~$#%&`" ' for c in label)):
        fields.report("Label", "Label must have 1 to 40 characters, without whitespace and special characters.")
    items = _read_items(fields)
    return model.MapState(
        **common,
        processor=processor,
        distributed=distributed,
        express=express,
        label=label,
        items=items,
        item_selector=_read_item_selector(fields),
        max_concurrency=fields.read_integer_expression("MaxConcurrency", 0, path=True),
        tolerated_count=fields.read_integer_expression("ToleratedFailureCount", 0, path=True),
        tolerated_percentage=_read_percentage(fields),
        reader=_read_reader(fields),
        batcher=_read_batcher(fields),
        writer=_read_writer(fields),
    )


def _read_processor(fields: Fields, branch: Callable[[Fields], model.Program]) -> tuple[model.Program, bool, bool]:
    names = [name for name in ("ItemProcessor", "Iterator") if fields.has(name)]
    if len(names) != 1:
        fields.report(None, "A Map state must have either ItemProcessor or, in old definitions, Iterator.")
    part = fields.read_part(names[0]) if names else None
    if part is None:
        return model.Program("", {}), False, False
    config = part.read_part("ProcessorConfig")
    mode, kind = "INLINE", None
    if config is not None:
        mode = config.read_text("Mode") or "INLINE"
        if mode not in ("INLINE", "DISTRIBUTED"):
            config.report("Mode", f"Mode must be INLINE or DISTRIBUTED, not {mode!r}.")
        kind = config.read_text("ExecutionType")
        if mode == "DISTRIBUTED" and kind is None:
            config.report(None, "A distributed Map requires ExecutionType: STANDARD or EXPRESS.")
        if kind not in (None, "STANDARD", "EXPRESS"):
            config.report("ExecutionType", f"ExecutionType must be STANDARD or EXPRESS, not {kind!r}.")
        config.reject_unknown_fields()
    distributed = mode == "DISTRIBUTED"
    return branch(part), distributed, distributed and kind == "EXPRESS"


def _read_items(fields: Fields) -> Expression | None:
    if fields.current_language == "JSONPath":
        return fields.read_reference("ItemsPath")
    if not fields.has("Items"):
        return None
    value = fields.source["Items"]
    expression = fields.read_jsonata("Items")
    if expression is None and not isinstance(value, list | dict):
        fields.report("Items", "Items must be an array or a JSONata expression {% … %}.")
    return fields.read_template("Items")


def _read_item_selector(fields: Fields) -> Expression | None:
    if fields.current_language == "JSONata":
        return fields.read_template("ItemSelector")
    if fields.has("ItemSelector") and fields.has("Parameters"):
        fields.report(None, "A Map state can have ItemSelector or (in old definitions) Parameters, not both.")
    return fields.read_template("ItemSelector") if fields.has("ItemSelector") else fields.read_template("Parameters")


def _read_percentage(fields: Fields) -> Expression | None:
    name = "ToleratedFailurePercentage"
    if fields.current_language == "JSONPath" and fields.has(f"{name}Path"):
        if fields.has(name):
            fields.report(None, f"A Map state can have {name} or {name}Path, not both.")
        return fields.read_reference(f"{name}Path")
    expression = fields.read_jsonata(name)
    if expression is not None:
        return expression
    value = fields.read_number(name, 0, 100)
    return None if value is None else Constant(value)


def _read_reader(fields: Fields) -> model.ItemReader | None:
    part = fields.read_part("ItemReader")
    if part is None:
        return None
    if fields.has("ItemsPath") and fields.current_language == "JSONPath":
        fields.report("ItemsPath", "A Map state can have ItemReader or ItemsPath, not both.")
    resource = _read_resource(part, _READERS)
    parameters = part.read_template("Parameters" if part.current_language == "JSONPath" else "Arguments")
    config = part.read_part("ReaderConfig")
    max_items = None
    if config is not None:
        _check_format(config)
        _check_transformation(config, resource)
        max_items = config.read_integer_expression("MaxItems", 1, 100_000_000, path=True)
        config.reject_unknown_fields()
    part.reject_unknown_fields()
    return model.ItemReader(
        resource=resource,
        parameters=parameters,
        config=None if config is None else config.source,
        max_items=max_items,
    )


def _check_format(config: Fields) -> None:
    kind = _read_choice(config, "InputType", *_INPUT_TYPES)
    header = _read_choice(config, "CSVHeaderLocation", "FIRST_ROW", "GIVEN")
    if kind == "CSV" and header is None:
        config.report(None, "InputType CSV requires CSVHeaderLocation: FIRST_ROW or GIVEN.")
    headers = config.read("CSVHeaders")
    if header == "GIVEN" and not (isinstance(headers, list) and all(isinstance(name, str) for name in headers)):
        config.report(None, "CSVHeaderLocation GIVEN requires CSVHeaders, a list of names.")
    _read_choice(config, "CSVDelimiter", *model.CSV_DELIMITERS)
    config.read_text("ItemsPointer")
    config.read_text("VersionId")


def _check_transformation(config: Fields, resource: str) -> None:
    transformation = _read_choice(config, "Transformation", "NONE", "LOAD_AND_FLATTEN")
    if transformation == "LOAD_AND_FLATTEN":
        if not config.has("InputType"):
            config.report(None, "Transformation LOAD_AND_FLATTEN requires InputType, the format of the objects.")
        if not resource.endswith(":s3:listObjectsV2"):
            config.report("Transformation", "Transformation LOAD_AND_FLATTEN requires the resource s3:listObjectsV2.")
    manifest = _read_choice(config, "ManifestType", "ATHENA_DATA", "S3_INVENTORY")
    if manifest == "S3_INVENTORY" and config.has("InputType"):
        config.report("InputType", "ManifestType S3_INVENTORY allows no InputType, because an inventory is CSV.")
    if manifest == "ATHENA_DATA" and not config.has("InputType"):
        config.report(None, "ManifestType ATHENA_DATA requires InputType, the format of the objects.")


def _read_choice(config: Fields, name: str, *choices: str) -> str | None:
    """Return the value of a field that must be one of ``choices``, or None if it is missing."""
    value = config.read_text(name)
    if value is not None and value not in choices:
        config.report(name, f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, not {value!r}.")
    return value


def _read_resource(part: Fields, allowed: set[str]) -> str:
    resource = part.read_text("Resource", required=True) or ""
    if resource and resource.partition(":states:::")[2] not in allowed:
        names = " or ".join(f"arn:aws:states:::{name}" for name in sorted(allowed))
        part.report("Resource", f"Resource must be {names}, not {resource!r}.")
    return resource


def _read_batcher(fields: Fields) -> model.ItemBatcher | None:
    part = fields.read_part("ItemBatcher")
    if part is None:
        return None
    batcher = model.ItemBatcher(
        max_items=part.read_integer_expression("MaxItemsPerBatch", 1, path=True),
        max_bytes=part.read_integer_expression("MaxInputBytesPerBatch", 1, 262_144, path=True),
        batch_input=part.read_object_template("BatchInput"),
    )
    if batcher.max_items is None and batcher.max_bytes is None:
        part.report(None, "ItemBatcher requires MaxItemsPerBatch or MaxInputBytesPerBatch.")
    part.reject_unknown_fields()
    return batcher


def _read_writer(fields: Fields) -> model.ResultWriter | None:
    part = fields.read_part("ResultWriter")
    if part is None:
        return None
    resource = _read_resource(part, {"s3:putObject"}) if part.has("Resource") else None
    parameters = part.read_template("Parameters" if part.current_language == "JSONPath" else "Arguments")
    if (resource is None) != (parameters is None):
        part.report(
            None, "ResultWriter requires both Resource and Parameters (in JSONata, Arguments) to write results."
        )
    config = part.read_part("WriterConfig")
    if config is not None:
        transformation, output = config.read_text("Transformation"), config.read_text("OutputType")
        if transformation not in (None, "NONE", "COMPACT", "FLATTEN"):
            config.report("Transformation", f"Transformation must be NONE, COMPACT or FLATTEN, not {transformation!r}.")
        if output not in (None, "JSON", "JSONL"):
            config.report("OutputType", f"OutputType must be JSON or JSONL, not {output!r}.")
        config.reject_unknown_fields()
    elif resource is None:
        part.report(None, "ResultWriter requires Resource or WriterConfig.")
    part.reject_unknown_fields()
    return model.ResultWriter(
        resource=resource, parameters=parameters, config=None if config is None else config.source
    )
