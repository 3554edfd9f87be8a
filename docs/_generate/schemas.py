# ruff: noqa: INP001 (a folder that Python runs)
"""The JSON schemas of results, and of the lines that commands print with `--json`."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from ecr_layer_client import LayerCheckResult
from ecr_layer_client.cli.findings import Finding
from ecr_layer_client.images import ImageReport, PushPlan
from ecr_layer_client.transfers import TransferProgress, TransferResult

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: dict[str, Any] = {"type": "string"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_FLAG: dict[str, Any] = {"type": "boolean"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}


class _CheckLine(BaseModel):
    repository: str
    digest: str
    outcome: Literal["layer", "failure"]
    availability: str | None
    code: str | None
    reason: str | None
    size: int | None
    media_type: str | None


class _UnfinishedLayer(BaseModel):
    digest: str
    size: int | None
    received: int


class _ErrorLine(BaseModel):
    event: Literal["error"]
    message: str
    exit_code: int
    moved: list[str] | None
    unfinished: list[_UnfinishedLayer] | None


def files() -> dict[str, str]:
    """Return each schema by the path of its file in docs."""
    made = {
        "check-line": _of(_CheckLine),
        "doctor-line": _of(Finding),
        "plan": _of(PushPlan),
        "plan-line": _plan_line(),
        "report": _of(ImageReport),
        "report-line": _report_line(),
        "result": _of(LayerCheckResult),
        "transfer": _of(TransferResult),
        "transfer-line": _transfer_line(),
    }
    return {
        f"schemas/{name}.json": json.dumps({"$schema": _DIALECT} | schema, indent=2) + "\n"
        for name, schema in made.items()
    }


def _of(kind: Any) -> dict[str, Any]:
    """Return the schema of a type as it is written, with its first sentence for each object."""
    schema = TypeAdapter(kind).json_schema(mode="serialization")
    for each in (schema, *schema.get("$defs", {}).values()):
        if "description" in each:
            each["description"] = each["description"].partition("\n")[0]
        if "properties" in each:
            each["required"] = list(each["properties"])
        # A later version may add members.
        each.pop("additionalProperties", None)
    return schema


def _with(schema: dict[str, Any], **properties: dict[str, Any]) -> dict[str, Any]:
    """Add properties to the schema of an object, or replace them."""
    schema["properties"] |= properties
    schema["required"] = list(schema["properties"])
    return schema


def _plan_line() -> dict[str, Any]:
    schema = _with(
        _of(PushPlan),
        repository=_TEXT,
        bytes_to_upload=_COUNT,
        bytes_present=_COUNT,
        bytes_foreign=_COUNT,
        seconds_at_quota={"type": "number"},
        all_blobs_present=_FLAG,
    )
    del schema["$defs"]["Repository"]
    return schema


def _report_line() -> dict[str, Any]:
    schema = _of(ImageReport)
    _with(schema["$defs"]["ImageReport"], repository=_TEXT, deployable=_FLAG, defects=_TEXTS)
    del schema["$defs"]["Repository"]
    return schema


def _transfer_line() -> dict[str, Any]:
    result = _of(TransferResult)
    del result["properties"]["plan"]
    _with(
        result,
        event={"const": "result"},
        repository=_TEXT,
        uris=_TEXTS,
        warnings=_TEXTS,
        complete={"type": ["boolean", "null"]},
    )
    progress = _with(_of(TransferProgress), event={"enum": ["progress", "layer"]})

    shared = {
        name: result["$defs"][name] for name in ("Descriptor", "Platform", "TransferredImage")
    }
    del result["$defs"]
    failed = _of(_ErrorLine)
    shared |= failed.pop("$defs")
    return {"title": "TransferLine", "oneOf": [progress, result, failed], "$defs": shared}
