"""Updates as Telegram sends them, read leniently, and what each of them means to us.

Only ``update_id`` is required. What is not known is ignored: new kinds and fields
appear every few weeks. https://core.telegram.org/bots/api#update
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

_MOST_ID = 2**53
MOST_FILE_BYTES = 20 * 1024 * 1024
"""What a bot may fetch."""


class BadUpdate(Exception):
    """There is no usable ``update_id``."""


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _User(_Lenient):
    id: int
    is_bot: bool = False
    first_name: str = ""
    username: str = ""


class _Chat(_Lenient):
    id: int
    type: str = "private"
    title: str = ""


class _File(_Lenient):
    file_id: str
    file_size: int | None = None
    mime_type: str = ""


class _Message(_Lenient):
    message_id: int = 0
    chat: _Chat
    sender: _User | None = None
    text: str = ""
    caption: str = ""
    migrate_to_chat_id: int | None = None
    media_group_id: str = ""
    voice: _File | None = None
    audio: _File | None = None
    video: _File | None = None
    video_note: _File | None = None
    document: _File | None = None
    animation: _File | None = None
    sticker: _File | None = None
    photo: tuple[_File, ...] = ()


class _Callback(_Lenient):
    id: str
    sender: _User
    data: str = ""
    message: _Message | None = None


class _Member(_Lenient):
    status: str = ""


class _MemberChange(_Lenient):
    chat: _Chat
    new_chat_member: _Member = _Member()


class File(NamedTuple):
    """A file that lies at Telegram: kept by its id, never fetched by itself."""

    kind: str
    file_id: str
    size: int | None
    mime_type: str

    @property
    def is_too_large(self) -> bool:
        """Whether a bot may not fetch it."""
        return self.size is not None and self.size > MOST_FILE_BYTES


class Said(NamedTuple):
    """A person wrote something."""

    update_id: int
    chat_id: int
    user_id: int
    text: str
    is_private: bool
    file: File | None = None
    album: str = ""
    """What the pictures that were sent together have in common."""


class Pressed(NamedTuple):
    """A person pressed a button."""

    update_id: int
    chat_id: int
    user_id: int
    callback_id: str
    data: str
    message_id: int
    is_private: bool


class Left(NamedTuple):
    """A chat wants messages no more, or wants them again."""

    update_id: int
    chat_id: int
    is_gone: bool


class Moved(NamedTuple):
    """A group has another id now."""

    update_id: int
    chat_id: int
    new_chat_id: int


class Ignored(NamedTuple):
    """Nothing for us, and why."""

    update_id: int
    reason: str


Heard = Said | Pressed | Left | Moved | Ignored

_FILES = (
    "voice",
    "audio",
    "video",
    "video_note",
    "document",
    "animation",
    "sticker",
)
_GONE = frozenset({"kicked", "left"})
_MESSAGE_KINDS = ("message", "edited_message")
_KINDS = frozenset({*_MESSAGE_KINDS, "callback_query", "my_chat_member"})


def id_of(raw: Any) -> int:
    """The id of an update. Raises BadUpdate."""
    found = raw.get("update_id") if isinstance(raw, dict) else None
    if type(found) is not int or not 0 <= found < _MOST_ID:
        raise BadUpdate

    return found


def heard_in(raw: dict[str, Any], *, edits: bool = False) -> Heard:
    """What an update means; pure. Raises BadUpdate.

    ``edits`` says whether an edited message is heard like a new one.
    """
    update_id = id_of(raw)
    kind = _kind_of(raw)
    if kind == "edited_message" and not edits:
        return Ignored(update_id, "edited_message")

    try:
        if kind in _MESSAGE_KINDS:
            return _in_message(update_id, _read(_Message, raw[kind]))

        if kind == "callback_query":
            return _in_callback(update_id, _read(_Callback, raw[kind]))

        if kind == "my_chat_member":
            change = _MemberChange.model_validate(raw[kind])
            gone = change.new_chat_member.status in _GONE
            return Left(update_id, change.chat.id, gone)
    except ValidationError:
        return Ignored(update_id, f"unreadable {kind}")

    return Ignored(update_id, kind or "empty")


def _kind_of(raw: dict[str, Any]) -> str:
    """The kind that is known, whatever stands beside it; else the first."""
    names = [name for name in raw if name != "update_id"]
    return next((name for name in names if name in _KINDS), "".join(names[:1]))


def _read(model: Any, raw: Any) -> Any:
    """A model of an object whose sender stands under a reserved word."""
    if not isinstance(raw, dict):
        return model.model_validate(raw)

    return model.model_validate({**raw, "sender": raw.get("from")})


def _in_message(update_id: int, message: _Message) -> Heard:
    if message.migrate_to_chat_id is not None:
        return Moved(update_id, message.chat.id, message.migrate_to_chat_id)

    if message.sender is None or message.sender.is_bot:
        return Ignored(update_id, "no person wrote it")

    file = _file_in(message)
    text = message.text or message.caption
    if not text and file is None:
        return Ignored(update_id, "no text")

    return Said(
        update_id,
        message.chat.id,
        message.sender.id,
        text,
        message.chat.type == "private",
        file,
        message.media_group_id,
    )


def _in_callback(update_id: int, callback: _Callback) -> Heard:
    if callback.message is None:
        return Ignored(update_id, "a button of no message")

    return Pressed(
        update_id,
        callback.message.chat.id,
        callback.sender.id,
        callback.id,
        callback.data,
        callback.message.message_id,
        callback.message.chat.type == "private",
    )


def _file_in(message: _Message) -> File | None:
    for kind in _FILES:
        found: _File | None = getattr(message, kind)
        if found is not None:
            return File(kind, found.file_id, found.file_size, found.mime_type)

    if message.photo:
        best = max(message.photo, key=lambda one: one.file_size or 0)
        return File("photo", best.file_id, best.file_size, "image/jpeg")

    return None
