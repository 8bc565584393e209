"""Canonical bytes and digests: RFC 8785 (JCS) over plain JSON values.

Two values with equal canonical bytes mean the same thing everywhere.
NaN, infinities, lone surrogates and integers beyond 2**53 - 1 are refused.
``docs/canonical.md`` holds the rules with test vectors.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any

import rfc8785

from contracts.errors import InvalidInput

_LARGEST = 2**53 - 1
_PLAIN = frozenset([str, bool, type(None)])
_QUICK = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: Any) -> bytes:
    """The canonical bytes of a plain JSON value.

    Raises InvalidInput for what JSON cannot say exactly.
    """
    quick = _canonical_without_floats(value)
    return _canonical_by_the_book(value) if quick is None else quick


def _canonical_without_floats(value: Any) -> bytes | None:
    """The same bytes, far faster, or None where the two encoders may differ.

    They differ in floats, in huge integers and beyond the basic plane of Unicode.
    """
    try:
        text = _QUICK.encode(value)
    except (TypeError, ValueError, RecursionError):
        return None
    if not text.isascii() and max(text) >= "\ud800":
        return None
    return text.encode() if _is_exact(value) else None


def _is_exact(value: Any) -> bool:
    """Whether no number is in it that two encoders may write in two ways."""
    waiting = [value]
    for each in waiting:
        kind = type(each)
        if kind is dict:
            waiting.extend(each.values())
        elif kind is list or kind is tuple:
            waiting.extend(each)
        elif kind not in _PLAIN and not (kind is int and abs(each) <= _LARGEST):
            return False

    return True


def _canonical_by_the_book(value: Any) -> bytes:
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError as error:
        raise InvalidInput(code="number_out_of_range") from error
    except rfc8785.FloatDomainError as error:
        raise InvalidInput(code="number_invalid") from error
    except RecursionError as error:
        raise InvalidInput(code="json_too_deep") from error
    except (rfc8785.CanonicalizationError, ValueError, TypeError) as error:
        raise InvalidInput("This is no plain JSON value.") from error


def digest(value: Any) -> str:
    """``sha256:`` and the hex SHA-256 of the canonical bytes of a JSON value."""
    return digest_of(canonical(value))


def digest_of(data: bytes) -> str:
    """``sha256:`` and the hex SHA-256 of these bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def normal(identifier: str) -> str:
    """The NFC form of an identifier: what is compared, stored and shown."""
    return unicodedata.normalize("NFC", identifier)
