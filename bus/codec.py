"""Envelopes as bytes on a shared bus: what our key did not sign is not read.

A frame is one header line and the JSON of the envelope::

    VERSION SPACE HMAC-SHA256-AS-HEX LF JSON

Every version keeps this header, so that an older process can tell a newer frame of
ours from a forged one.
"""

from __future__ import annotations

import hmac

from pydantic import TypeAdapter, ValidationError

from contracts import (
    LIMITS,
    AnyEnvelope,
    ConfigurationError,
    Envelope,
    PermanentError,
)

SHORTEST_KEY = 32
"""Bytes that a key has at least."""

_DOMAIN = b"sluicegate.bus\x00"
_VERSION = b"1"
_ENVELOPES: TypeAdapter[Envelope] = TypeAdapter(AnyEnvelope)


class Unsigned(PermanentError):
    """Nobody who has the key wrote this frame as it is."""

    code = "invalid"


class Unreadable(PermanentError):
    """The frame is signed, and holds no envelope."""

    code = "invalid"


class TooNew(PermanentError):
    """The frame is signed, and of a version that only a newer process reads."""

    code = "invalid"


class Codec:
    """Writes and reads frames with one key, which is never told to anybody."""

    def __init__(self, key: bytes) -> None:
        """Raises ConfigurationError for a key of less than 32 bytes."""
        if len(key) < SHORTEST_KEY:
            raise ConfigurationError(
                f"keys.bus: a shared bus needs a key of {SHORTEST_KEY} bytes or more"
            )

        self._key = key
        self._begun = self._mac_of(_VERSION)

    def encode(self, envelope: Envelope) -> bytes:
        """The frame of an envelope.

        Raises PermanentError ``message_too_large`` beyond the limit of a message.
        """
        text = envelope.__pydantic_serializer__.to_json(envelope)
        if len(text) > LIMITS["message_bytes"]:
            raise _too_large(len(text))

        mac = self._begun.copy()
        mac.update(text)
        return b"%b %b\n%b" % (_VERSION, mac.hexdigest().encode(), text)

    def decode(self, frame: bytes) -> Envelope:
        """The envelope of a frame. Raises Unsigned, TooNew, Unreadable."""
        header, _, text = frame.partition(b"\n")
        version, _, said = header.partition(b" ")
        mac = self._begun.copy() if version == _VERSION else self._mac_of(version)
        mac.update(text)
        if not hmac.compare_digest(mac.hexdigest().encode(), said):
            raise Unsigned("unsigned: no key of ours made this message")

        if version != _VERSION:
            raise TooNew(f"format version {version.decode()} is not known here")

        try:
            return _ENVELOPES.validate_json(text)
        except ValidationError as error:
            # what was said stays out of the reason: it may hold secrets
            raise Unreadable(f"unreadable: {_places(error)}") from None

    def _mac_of(self, version: bytes) -> hmac.HMAC:
        """The signature of a frame of this version, up to its text."""
        return hmac.new(self._key, b"%b%b\x00" % (_DOMAIN, version), "sha256")


def _too_large(size: int) -> PermanentError:
    limit = LIMITS["message_bytes"]
    return PermanentError(
        f"The message has {size} bytes; the limit is {limit}.",
        code="message_too_large",
    )


def _places(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    places = (".".join(map(str, one["loc"])) or "message" for one in problems[:5])
    return ", ".join(
        f"{place} {one['type']}" for place, one in zip(places, problems, strict=False)
    )
