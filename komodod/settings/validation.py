"""Nodes against models: every mistake at its place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from komodod.settings.nodes import Map, Node, Problems, Scalar, Seq, describe, is_null, plain
from komodod.settings.wording import blame, join, say, unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)


def check(model: type[M], node: Map, problems: Problems, context: Mapping[str, Any]) -> M | None:
    """Return the model, ours or a plugin's, that the node describes, or None after noting all that is wrong with it."""
    try:
        return model.model_validate(plain(node), context=dict(context))
    except ValidationError as error:
        details = error.errors(include_url=False)
    except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin's validator may raise anything
        problems.at(node, f"cannot be checked: {model.__module__}.{model.__qualname__} raised {blame(error)}")
        return None
    found = _again(model, node, details, context)
    if isinstance(found, model):
        return found
    left = [detail for detail in details if detail["loc"] in found]
    _report(model, node, left or details, problems)
    return None


def _again(
    model: type[M], node: Map, details: Iterable[ErrorDetails], context: Mapping[str, Any]
) -> M | set[tuple[int | str, ...]]:
    """Validate with the refused texts read as YAML reads them, for a model that takes no text for a number.

    Returns the model, or where there are errors still.
    """
    typed = {id(scalar) for detail in details if isinstance(scalar := locate(node, detail["loc"])[0], Scalar)}
    try:
        return model.model_validate(plain(node, typed), context=dict(context))
    except ValidationError as error:
        return {detail["loc"] for detail in error.errors(include_url=False)}
    except (Exception, SystemExit):  # noqa: BLE001  this was a second try; the errors of the first stand
        return set()


def _report(model: type[BaseModel], node: Map, details: Iterable[ErrorDetails], problems: Problems) -> None:
    """Note each error at its place; what the branches of a union say becomes one problem."""
    said: dict[tuple[int, str], tuple[Node, dict[str, None]]] = {}
    for detail in details:
        value, key = locate(node, detail["loc"])
        about = str(detail["loc"][-1]) if detail["loc"] else ""
        if detail["type"] == "extra_forbidden":
            place, group, message = key or value, "key", unknown_key(model, detail)
        elif detail["type"] == "missing":
            place, group, message = value, about, f"key {about!r} is missing"
        else:
            place, group, message = (key if about == "[key]" and key else value), "", say(detail, value)
        said.setdefault((id(place), group), (place, {}))[1][message] = None
    for place, messages in said.values():
        problems.at(place, join(list(messages)))


def locate(node: Node, loc: Iterable[int | str]) -> tuple[Node, Scalar | None]:
    """Return the deepest node that pydantic's `loc` leads to, and the key it stands at.

    What leads nowhere is passed over: the tags and branches of unions, and keys that are missing.
    """
    key: Scalar | None = None
    for step in loc:
        if isinstance(node, Map) and str(step) in node.entries:
            key, node = node.entries[str(step)]
        elif isinstance(node, Seq) and isinstance(step, int) and step < len(node.items):
            key, node = None, node.items[step]
    return node, key


def mapping(node: Node, problems: Problems) -> Map | None:
    """Return the node as a mapping, an empty one for null; None after noting that it is none."""
    if isinstance(node, Map):
        return node
    if is_null(node):
        return Map(node.file, node.line, node.column)
    problems.at(node, f"a mapping is needed, not {describe(node)}")
    return None


def sequence(node: Node | None, problems: Problems) -> list[Node]:
    """Return the items of a list, none for null or nothing; none after noting that it is no list."""
    if node is None or is_null(node):
        return []
    if isinstance(node, Seq):
        return node.items
    problems.at(node, f"a list is needed ('- ...'), not {describe(node)}")
    return []


def validation_context(base: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return pydantic's context for models with paths and secrets; `base` is where relative paths start."""
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    return {"base": base, "credentials": Path(credentials) if credentials else None}
