"""URLs that definitions hold: fixed host, http or https, nothing to misread.

What the host's address may be is decided when a call is made.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_LONGEST = 2_048
_HTTP = re.compile(r"(?i:https?)://([^/?#]*)")
_SCHEME = re.compile(r"(?i:(?!https?:)[a-z][a-z0-9+.-]*)://|(?i:file|unix):")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")
_MISREAD = re.compile(r"[\x00-\x20\\\x7f]")
_EXPRESSION = re.compile(r"\$\{[^}]*\}")


def http_url(text: str) -> str:
    """The URL itself, where ``${…}`` may stand after the host.

    Raises PydanticCustomError ``scheme_not_allowed`` or ``invalid_url``.
    """
    if _SCHEME.match(text):
        raise PydanticCustomError(
            "scheme_not_allowed", "Only http and https URLs are allowed"
        )

    problem = _problem(text)
    if problem:
        raise PydanticCustomError("invalid_url", "{problem}", {"problem": problem})

    return text


HttpUrl = Annotated[str, AfterValidator(http_url)]
"""An http or https URL with a fixed host."""


def _problem(text: str) -> str:
    if len(text) > _LONGEST:
        return f"A URL has at most {_LONGEST} characters"

    whole = _HTTP.match(text)
    if whole is None:
        return "A URL begins with http:// or https://"

    if _MISREAD.search(_EXPRESSION.sub("", text)):
        return "A URL holds no blanks, control characters or backslashes"

    return _problem_with(whole[1])


def _problem_with(authority: str) -> str:
    if "@" in authority:
        return "A URL names no user and no password"

    if "${" in authority:
        return "The host of a URL is fixed: no expression may stand in it"

    return "" if _AUTHORITY.fullmatch(authority) else "The host of the URL is not valid"
