"""The files of `make generate` are up to date, and the schemas describe what is printed."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from ecr_layer_client.cli.app import app
from ecr_layer_client.images import ImageSource

if TYPE_CHECKING:
    from ecr_layer_client import ECRLayerClient

    from .conftest import Examples

_DOCS = Path(__file__).parents[2] / "docs"
# jsonschema has no types.
_JSONSCHEMA: Any = import_module("jsonschema")


def _generated(module: str) -> dict[str, str]:
    """Return what a module in `docs/_generate` makes, by the path in docs."""
    files: dict[str, str] = import_module(module).files()
    return files


def _stored(path: str) -> str:
    return (_DOCS / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("module", ["api", "llms"])
def test_a_list_is_up_to_date(module: str) -> None:
    """A stored list equals the one that is made from the code. If not, run `make generate`."""
    made = _generated(module)
    assert {path: _stored(path) for path in made} == made


def test_the_pictures_are_up_to_date() -> None:
    """A stored picture has the words that it has if it is drawn again."""
    made = _generated("pictures")
    assert {path: _words(_stored(path)) for path in made} == {
        path: _words(picture) for path, picture in made.items()
    }


def _words(picture: str) -> list[str]:
    """Return the pieces of text of a picture. How they are drawn depends on the version of rich."""
    texts = ET.fromstring(picture).itertext()  # noqa: S314 (the project's own picture)
    return [" ".join(text.split()) for text in texts if text.strip()]


def test_the_schemas_are_up_to_date() -> None:
    """A stored schema has the members that it has if it is made again."""
    made = _generated("schemas")
    assert {path: _members(json.loads(_stored(path))) for path in made} == {
        path: _members(json.loads(schema)) for path, schema in made.items()
    }


def _members(schema: dict[str, Any]) -> list[list[str]]:
    """Return the members of each object that a schema describes."""
    objects: list[dict[str, Any]] = [
        schema,
        *schema.get("oneOf", ()),
        *schema.get("$defs", {}).values(),
    ]
    return [list(each["properties"]) for each in objects if "properties" in each]


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    ("schema", "command"),
    [
        ("check-line", f"check team/app latest sha256:{0:064x} sha256:{1:064x}"),
        ("doctor-line", "doctor team/app"),
        ("plan-line", "plan layout team/app"),
        ("plan-line", "push layout team/app --dry-run --no-resume"),
        ("report-line", "verify team/app:latest"),
        ("report-line", "audit team/app"),
        ("transfer-line", "push layout team/app:v2 --no-resume"),
        ("transfer-line", "push layout team/app:v2 --no-resume --timeout 0.001"),
        ("transfer-line", "pull team/app:latest pulled"),
        ("transfer-line", "pull team/app:none pulled"),
        ("transfer-line", "copy team/app:latest team/app:v3 --no-resume"),
    ],
    ids=lambda value: value.split()[0],
)
def test_a_schema_describes_the_lines_of_a_command(schema: str, command: str) -> None:
    """Each line that a command prints with `--json` has the members of its schema, and no other."""
    printed = CliRunner().invoke(app, [*command.split(), "--json"]).stdout
    lines = [json.loads(line) for line in printed.splitlines()]
    assert lines != []
    described = json.loads(_stored(f"schemas/{schema}.json"))
    assert [_difference(line, described) for line in lines] == [set()] * len(lines)


@pytest.mark.parametrize("schema", ["result", "plan", "report", "transfer"])
def test_a_schema_describes_the_json_of_a_model(schema: str, examples: Examples) -> None:
    """The JSON of a result, a plan, a report or a transfer has the members of its schema."""
    made: list[Any] = []

    async def make(client: ECRLayerClient) -> None:
        source = ImageSource.from_path("layout")
        if schema == "result":
            made.append(await client.check_layers("team/app", ["latest", f"sha256:{0:064x}"]))
        elif schema == "plan":
            made.append(await client.plan_push("team/app", source))
        elif schema == "report":
            made.append(await client.verify_image("team/app", "latest"))
        else:
            made.append(await client.push("team/app", source))

    examples._finish(make(examples._given["client"]))
    described = json.loads(_stored(f"schemas/{schema}.json"))
    assert _difference(json.loads(made[0].model_dump_json()), described) == set()


def _difference(value: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """Return the members that only one of an object and its schema has.

    Raises:
        jsonschema.ValidationError: The object is not valid.
    """
    _JSONSCHEMA.Draft202012Validator.check_schema(schema)
    _JSONSCHEMA.validate(value, schema, cls=_JSONSCHEMA.Draft202012Validator)
    choices = schema.get("oneOf", [schema])
    if "$ref" in schema:
        choices = [schema["$defs"][schema["$ref"].rpartition("/")[2]]]
    return min((set(each["properties"]) ^ set(value) for each in choices), key=len)
