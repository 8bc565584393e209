"""The rolling summary: what was said before the last messages, in a few sentences.

It is made while the conversation rests, from the summary before it and the messages
since; a person who writes meanwhile does not wait for it. One that fails is tried
again after a later turn: nothing but the memory of old messages depends on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio

from agents.conversation.desk import Desk
from agents.conversation.thinking import Call, Thinking
from contracts import (
    SHORT_MEMORY,
    ChatMemory,
    ModelAnswer,
    ModelRequest,
    PermanentError,
    SaidText,
    StoreUnavailable,
    turn_id_of,
)

_LEFT_OVER = 20
"""So many messages beyond the last ones wait before they are summed up."""

_MOST_AT_ONCE = 100
_MOST_CHARS = 60_000
_MOST_OF_ONE = 8_000
"""So much of one message is read."""

_MOST_TOKENS = 600
_INSTRUCTIONS = """\
Sum up this conversation so that it can go on without its earlier messages: who wants
what, what was decided and done, names, numbers and ids that may be needed again. Keep
what the earlier summary says and still matters. At most twelve sentences, in the
language of the conversation. Write the summary and nothing else."""


class Summing:
    """Makes summaries of one conversation, one at a time."""

    def __init__(
        self, desk: Desk, thinking: Thinking, ring: Callable[[], None]
    ) -> None:
        """``ring`` is called when a summary has come."""
        self._desk = desk
        self._thinking = thinking
        self._ring = ring
        self._upto = 0
        self._failed_at = 0
        """The length of the history when a summary was last asked for in vain."""

        self._reserved: dict[str, str] = {}
        self._call: asyncio.Task[ModelAnswer] | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether a summary is being made."""
        return self._call is not None

    @property
    def is_due(self) -> bool:
        """Whether one is being made, or enough was said since the last."""
        known, messages = self._desk.recollection, self._desk.book.messages
        enough = messages - SHORT_MEMORY - known.summarised >= _LEFT_OVER
        return self.is_under_way or (enough and self._failed_at != messages)

    async def begin(self) -> None:
        """Ask for a summary if enough was said since the last.

        Raises StoreUnavailable.
        """
        if self.is_under_way or not self.is_due:
            return

        messages = self._desk.book.messages
        self._failed_at = messages
        request = await self._request(messages - SHORT_MEMORY)
        row = self._desk.row
        use_id = f"{row.id}/summary/{self._upto}/{messages}"
        try:
            self._reserved = await self._thinking.afford(
                row, row.subject, use_id, request
            )
        except PermanentError as error:
            self._desk.lines.warning("summary.failed", code=error.code)
            return

        turn_id = turn_id_of(row.id, f"summary:{self._upto}")
        timeout_s = self._desk.means.settings.model_timeout_s
        self._call = asyncio.create_task(
            self._thinking.ask_quietly(Call(turn_id, 1, request, timeout_s)),
            name=f"summary of {row.id}",
        )
        self._call.add_done_callback(lambda _: self._ring())

    async def take(self) -> None:
        """Keep a summary that has come."""
        if self._call is None or not self._call.done():
            return

        answer, self._call = self._call.result(), None
        await self._thinking.settle(self._desk.row.tenant, self._reserved, answer)
        if answer.ending == "completed" and answer.text:
            self._failed_at = 0
            await self._keep(answer)
        else:
            self._desk.lines.warning("summary.failed", code=answer.code)

    async def hang_up(self) -> None:
        """A summary under way is given up."""
        if self._call is not None and not self._call.done():
            self._call.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._call])

        self._call = None

    async def _request(self, upto: int) -> ModelRequest:
        """As many messages as go into one call, up to this one; at least one."""
        desk, known = self._desk, self._desk.recollection
        said = await desk.means.store.conversations.messages(
            desk.row.tenant,
            desk.row.id,
            after=known.summarised,
            limit=min(upto - known.summarised, _MOST_AT_ONCE),
        )
        lines: list[str] = []
        self._upto, left = known.summarised, _MOST_CHARS
        for one in said:
            line = f"{one.role}: {one.text[:_MOST_OF_ONE]}"
            left -= len(line)
            if lines and left < 0:
                break

            lines.append(line)
            self._upto += 1

        before = [f"Earlier summary: {known.summary}"] if known.summary else []
        return ModelRequest(
            instructions=_INSTRUCTIONS,
            input=(SaidText(role="user", text="\n\n".join([*before, *lines])),),
            max_output_tokens=_MOST_TOKENS,
        )

    async def _keep(self, answer: ModelAnswer) -> None:
        desk = self._desk
        update = {"summary": answer.text, "summarised": self._upto}
        desk.recollection = desk.recollection.model_copy(update=update)
        turn_id = turn_id_of(desk.row.id, f"summary:{self._upto}")
        desk.log.say(turn_id, "summary_made", upto=self._upto, answer=answer.plain())
        await desk.log.keep(recollection=desk.recollection)
        try:
            memory = ChatMemory(summary=answer.text)
            await desk.means.context.append(desk.row.tenant, desk.row.id, memory)
        except StoreUnavailable as error:
            desk.lines.warning("hint.dropped", what="context", error=error.message)
