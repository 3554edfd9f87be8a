"""A snapshot of the public signatures, so that a review shows every change of one.

After an intended change, `python tests/architecture/test_signatures.py` rewrites the snapshot.
"""

from __future__ import annotations

import enum
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import ecr_layer_client
import ecr_layer_client.arrow
import ecr_layer_client.distributed
import ecr_layer_client.images
import ecr_layer_client.local
import ecr_layer_client.otel
from ecr_layer_client import LayerStream
from ecr_layer_client.images import ImageSource

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

SNAPSHOT = Path(__file__).with_name("public_signatures.txt")
MODULES = (
    ecr_layer_client,
    ecr_layer_client.images,
    ecr_layer_client.local,
    ecr_layer_client.arrow,
    ecr_layer_client.distributed,
    ecr_layer_client.otel,
)
# These magic methods are public.
PUBLIC_MAGIC_METHODS = {
    *("__init__", "__call__", "__aenter__", "__aexit__", "__aiter__", "__anext__", "__bool__"),
    *("__contains__", "__getitem__", "__iter__", "__len__", "__str__"),
}


def surface() -> str:
    """Return the public surface as text."""
    return "\n".join(line for module in MODULES for line in module_lines(module)).strip()


def module_lines(module: types.ModuleType) -> Iterator[str]:
    """Yield the lines that describe a module's public names."""
    yield f"# {module.__name__}"
    for name in module.__all__:
        value: Any = getattr(module, name)
        if isinstance(value, type):
            yield ""
            yield from class_lines(value)
        elif callable(value):
            yield f"\n{function_line(name, value)}"
        elif name != "__version__":
            yield f"\n{name} = {value}"
    yield ""


def class_lines(cls: type[Any]) -> Iterator[str]:
    """Yield the lines that describe a class: its bases, its fields and its own members."""
    yield f"class {cls.__name__}({', '.join(base.__name__ for base in cls.__bases__)})"
    if issubclass(cls, enum.Enum):
        yield from (f"    {member.name} = {member.value!r}" for member in cls)
        return

    if issubclass(cls, BaseModel):
        yield from field_lines(cls)
    else:
        yield from (
            f"    {name}: {kind}"
            for name, kind in annotations_of(cls).items()
            if not name.startswith("_")
        )

    for name, value in sorted(own_members(cls).items()):
        line = member_line(name, value)
        if line and not (name == "__init__" and hides_its_init(cls)):
            yield f"    {line}"


def own_members(cls: type[Any]) -> dict[str, Any]:
    """Return the members that a class defines or inherits from a private base."""
    members: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is cls or (
            "._" in base.__module__ and not hasattr(ecr_layer_client, base.__name__)
        ):
            members |= vars(base)
    return members


def hides_its_init(cls: type[Any]) -> bool:
    """Return whether users never call the class's `__init__` with the parameters it declares.

    The fields of a model are its parameters. Nobody instantiates a protocol. The other classes
    have functions that make them.
    """
    is_model_or_made = issubclass(cls, BaseModel | LayerStream | ImageSource)
    return is_model_or_made or getattr(cls, "_is_protocol", False)


def annotations_of(cls: type[Any]) -> dict[str, Any]:
    """Return a class's own annotations, as the source has them."""
    return {name: shown(kind) for name, kind in inspect.get_annotations(cls).items()}


def shown(kind: Any) -> str:
    """Return an annotation as the source has it."""
    return kind if isinstance(kind, str) else getattr(kind, "__forward_arg__", str(kind))


def field_lines(model: type[BaseModel]) -> Iterator[str]:
    """Yield a line for each field of a model, in their order."""
    written = annotations_of(model)
    for name, field in model.model_fields.items():
        default = "" if field.default is PydanticUndefined else f" = {field.default!r}"
        yield f"    {name}: {written.get(name, field.annotation)}{default}"


def member_line(name: str, value: Any) -> str | None:
    """Return the line that describes a member, or None for a private member."""
    if name.startswith("_") and name not in PUBLIC_MAGIC_METHODS:
        return None

    kind = type(value).__name__
    if kind in {"classmethod", "staticmethod"}:
        function: Callable[..., Any] = value.__func__
        return f"@{kind} {function_line(name, function)}"
    if isinstance(value, property):
        return f"@property {name} -> {returned(value.fget)}"
    if hasattr(value, "func") and hasattr(value, "attrname"):
        return f"@cached_property {name} -> {returned(value.func)}"
    return function_line(name, value) if inspect.isfunction(value) else None


def returned(function: Callable[..., Any] | None) -> str:
    """Return a function's return annotation, as the source has it."""
    return shown(inspect.get_annotations(function).get("return")) if function else ""


class Written:
    """A text whose repr has no quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def function_line(name: str, function: Callable[..., Any]) -> str:
    """Return a function's signature as the source has it.

    A default that is a model shows its class alone.
    """
    signature = inspect.signature(function)
    shown_signature = signature.replace(
        parameters=[written(parameter) for parameter in signature.parameters.values()],
        return_annotation=Written(shown(signature.return_annotation)),
    )
    prefix = "async def" if inspect.iscoroutinefunction(function) else "def"
    return f"{prefix} {name}{shown_signature}"


def written(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter whose repr is what the source has."""
    default: Any = parameter.default
    if isinstance(default, BaseModel):
        default = Written(f"{type(default).__name__}(...)")

    annotation = (
        parameter.annotation
        if parameter.annotation is parameter.empty
        else Written(shown(parameter.annotation))
    )
    return parameter.replace(annotation=annotation, default=default)


def test_public_signatures() -> None:
    """The public signatures are those of the snapshot.

    If you intend the change, rewrite the snapshot as this file's docstring says.
    """
    assert surface().splitlines() == SNAPSHOT.read_text().splitlines()


if __name__ == "__main__":
    SNAPSHOT.write_text(surface() + "\n")
