"""A stream of the Responses API, event by event, to its one end; pure.

Servers keep to the published schema only roughly: what is missing or of another kind
is passed over, what is unknown too, and only a terminal event ends an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeGuard

from contracts import FunctionCall
from llm.texts import Joining, whole

Terminal = Literal["completed", "incomplete", "refused", "failed", "error"]

Event = Mapping[str, Any]


class Told(NamedTuple):
    """What a stream told, once it has ended."""

    terminal: Terminal
    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    """None: not told, or nothing that can be."""

    model: str = ""
    response_id: str = ""
    code: str = ""
    """The provider's own."""

    message: str = ""


class Reading:
    """One stream. Events are taken in their order until ``told`` is there."""

    def __init__(self) -> None:
        self.told: Told | None = None
        self.size = 0
        """Bytes of text and arguments so far."""

        self._items: dict[int, _Item] = {}
        self._joining = Joining()

    def take(self, event: Event) -> str:
        """Take an event in; the piece of text that it brings, or nothing."""
        kind = event.get("type")
        match kind:
            case "response.output_text.delta":
                return self._text(event)
            case "response.refusal.delta" | "response.function_call_arguments.delta":
                self._grow(event.get("delta"))
            case "response.output_item.added" | "response.output_item.done":
                self._keep(event)
            case "response.output_text.done":
                self._finish(event)
            case "response.completed" | "response.incomplete" | "response.failed":
                self._end(kind.removeprefix("response."), _object(event, "response"))
            case "error":
                self._fail(_object(event, "error") or event)

        return ""

    def _text(self, event: Event) -> str:
        piece = event.get("delta")
        self._grow(piece)
        if not isinstance(piece, str):
            return ""

        self._item(event).add(_number(event, "content_index"), piece)
        return self._joining.take(piece)

    def _finish(self, event: Event) -> None:
        text = event.get("text")
        if isinstance(text, str):
            self._item(event).texts[_number(event, "content_index")] = text

    def _keep(self, event: Event) -> None:
        item = _object(event, "item")
        kept = self._item(event)
        if event.get("type") == "response.output_item.done":
            self.size += max(0, _length(item) - kept.size)
            kept.size = max(kept.size, _length(item))
            kept.whole = item
        elif not kept.whole:
            kept.whole = {"type": item.get("type"), "role": item.get("role")}

    def _item(self, event: Event) -> _Item:
        return self._items.setdefault(_number(event, "output_index"), _Item())

    def _grow(self, piece: object) -> None:
        self.size += len(piece.encode("utf-8", "replace")) if _is_text(piece) else 0

    def _end(self, kind: str, response: Event) -> None:
        status = response.get("status")
        if kind == "completed" and status in ("failed", "incomplete", "cancelled"):
            kind = "incomplete" if status == "incomplete" else "failed"

        output = response.get("output")
        items = [one for one in output if isinstance(one, Mapping)] if output else []
        items = items or [item.plain for _, item in sorted(self._items.items())]
        refusal = "".join(_parts(items, "refusal", "refusal"))
        error = _object(response, "error") or _object(response, "incomplete_details")
        usage = _object(response, "usage")
        refused = kind == "completed" and refusal
        self.told = Told(
            terminal="refused" if refused else _TERMINALS[kind],
            text=whole(refusal or "".join(_parts(items, "output_text", "text"))),
            calls=() if refused or kind != "completed" else tuple(_calls(items)),
            input_tokens=_tokens(usage, "input_tokens"),
            output_tokens=_tokens(usage, "output_tokens"),
            model=_string(response, "model"),
            response_id=_string(response, "id"),
            code=_string(error, "code") or _string(error, "reason"),
            message=_string(error, "message"),
        )

    def _fail(self, error: Event) -> None:
        code = _string(error, "code") or _string(error, "type")
        self.told = Told("error", code=code, message=_string(error, "message"))


class _Item:
    """One item of the output, as far as it has come."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.whole: Event = {}
        self.size = 0

    def add(self, index: int, piece: str) -> None:
        """The text goes on."""
        self.texts[index] = self.texts.get(index, "") + piece
        self.size += len(piece.encode("utf-8", "replace"))

    @property
    def plain(self) -> Event:
        """As it was told whole, else made of its pieces."""
        if self.whole.get("content") or self.whole.get("type") not in (None, "message"):
            return self.whole

        texts = [text for _, text in sorted(self.texts.items())]
        content = [{"type": "output_text", "text": text} for text in texts]
        return {"type": "message", "content": content}


_TERMINALS: dict[str, Terminal] = {
    "completed": "completed",
    "incomplete": "incomplete",
    "failed": "failed",
}


def _parts(items: Iterable[Event], kind: str, field: str) -> Iterable[str]:
    for item in items:
        content = item.get("content")
        if item.get("type") == "message" and isinstance(content, list):
            for part in content:
                if isinstance(part, Mapping) and part.get("type") == kind:
                    yield _string(part, field)


def _calls(items: Iterable[Event]) -> Iterable[FunctionCall]:
    for item in items:
        if item.get("type") == "function_call":
            yield FunctionCall(
                call_id=_string(item, "call_id") or _string(item, "id"),
                name=whole(_string(item, "name")),
                arguments=whole(_string(item, "arguments")),
            )


def _length(item: Event) -> int:
    """Bytes of what an item says."""
    texts = [_string(item, "arguments"), *_parts([item], "output_text", "text")]
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def _tokens(usage: Event, name: str) -> int | None:
    value = usage.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        return None

    return value if 0 <= value < 2**53 else None


def _number(event: Event, name: str) -> int:
    value = event.get(name)
    return value if isinstance(value, int) else 0


def _object(event: Event, name: str) -> Event:
    value = event.get(name)
    return value if isinstance(value, Mapping) else {}


def _string(event: Event, name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)
