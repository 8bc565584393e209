"""Reading YAML 1.2 from bytes, strictly: the plain JSON object it says.

Anchors, aliases, merge keys, tags and directives are refused.
"""

from __future__ import annotations

from contracts import CODES, LIMITS, InvalidInput, JsonObject, Problem, invalid

__all__ = ["read_yaml"]


def read_yaml(data: bytes, *, max_bytes: int = LIMITS["body_bytes"]) -> JsonObject:
    """The one object in these bytes, in what JSON can say.

    A large text takes a second: call it in a thread. Raises InvalidInput with the
    place, ``line:column``.
    """
    if len(data) > max_bytes:
        raise _refused("yaml_too_large", f"The YAML is larger than {max_bytes} bytes.")

    from plans.yaml_text.building import built  # noqa: PLC0415  # slow to load

    found = built(_decoded(data))
    if not isinstance(found, dict):
        raise _refused("workflow_not_an_object")

    return found


def _decoded(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        message = f"The byte at offset {error.start} is not UTF-8."
        raise _refused("yaml_invalid", message) from error

    if text.startswith("\ufeff"):
        raise _refused("yaml_invalid", "The YAML starts with a byte order mark.")

    return text


def _refused(code: str, message: str = "") -> InvalidInput:
    sentence = message or CODES[code].sentence
    return invalid([Problem(pointer="1:1", code=code, message=sentence)])
