"""Places: from the path of a validation error to what its sender sees.

The validator puts the names of chosen union members into its paths; they are found
by walking the types of the model alongside.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

Path = tuple[int | str, ...]

_UNIONS = (Union, types.UnionType)
_KEY = "[key]"


class Place(NamedTuple):
    """Where an error is in what was sent."""

    path: Path
    owner: type[BaseModel] | None
    """The model that would have the last part as a field, if one would."""

    union: Path | None
    """Where the innermost union is that the error lies in."""

    at_member: bool
    """Whether the error is about a member of the union as a whole."""

    @property
    def names_seconds(self) -> bool:
        """Whether the field is a duration by its name."""
        return str(self.path[-1] if self.path else "").endswith("_s")


def place(model: type[BaseModel], loc: Path) -> Place:
    """The place that the validator's path means in a value of this model."""
    here: Any = model
    path: Path = ()
    owner: type[BaseModel] | None = None
    union: Path | None = None
    at_member = False
    for part in loc:
        members = _members(here)
        at_member = len(members) > 1
        if at_member:
            here, union = _member(members, part), path
            continue

        if part == _KEY:
            continue

        owner = here = members[0]
        here = _inside(here, part)
        path = (*path, part)

    return Place(path, owner if _is_model(owner) else None, union, at_member)


def fields_of(model: type[BaseModel]) -> list[str]:
    """The names a value of this model may use."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _members(annotation: Any) -> list[Any]:
    """The types a value may have, None apart; one for what is no union."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])

    if origin not in _UNIONS:
        return [annotation]

    members = [m for m in get_args(annotation) if m is not types.NoneType]
    return members if len(members) > 1 else _members(members[0])


def _member(members: list[Any], label: int | str) -> Any:
    """The union's member that the validator calls so: by class name or by tag."""
    models = [m for m in map(_bare, members) if _is_model(m)]
    return next((m for m in models if label in _labels(m)), None)


def _bare(annotation: Any) -> Any:
    is_annotated = get_origin(annotation) is Annotated
    return get_args(annotation)[0] if is_annotated else annotation


def _labels(model: type[BaseModel]) -> set[object]:
    kinds = (f.annotation for f in model.model_fields.values())
    literals = (get_args(kind) for kind in kinds if get_origin(kind) is Literal)
    return {model.__name__}.union(*(tags for tags in literals if len(tags) == 1))


def _inside(annotation: Any, part: int | str) -> Any:
    """The type of what stands under this name or number; None if it is free."""
    if _is_model(annotation):
        fields = annotation.model_fields.items()
        found = (f.annotation for n, f in fields if part == (f.alias or n))
        return next(found, None)

    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is None or not arguments:
        return None

    is_mapping = isinstance(origin, type) and issubclass(origin, Mapping)
    return arguments[1 if is_mapping else 0]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
