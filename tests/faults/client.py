"""The client that acks: it asks until it has a 2xx, and remembers what it was told."""

from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from tests.faults.orders import Order
from tests.faults.violations import Violation
from tests.support.api import Answer, Api

_CALLERS = 48
_PAUSE_S = 0.05
_ACKED = frozenset({201, 202})
_LATER = frozenset(
    {
        "request_in_progress",
        "gate_unavailable",
        "bus_backlog",
        "redis_unavailable",
        "mongo_unavailable",
        "store_unavailable",
        "draining",
        "expired",  # unused in time; under the same key it is judged anew
    }
)


class AckingClient:
    """Places orders under their own Idempotency-Keys, whatever becomes of the service.

    ``acked`` maps the token of an order to what its first 2xx named: a run's id, or
    the name of what was saved.
    """

    def __init__(self, api: Api) -> None:
        self.acked: dict[str, str] = {}
        self.violations: list[Violation] = []
        self.told: dict[str, str] = {}
        """The latest answer to each order that has no 2xx yet."""

        self._api = api

    async def place_all(self, waiting: MemoryObjectReceiveStream[Order]) -> None:
        """Place every order of the stream; returns when it is closed and empty."""
        async with anyio.create_task_group() as callers:
            for _ in range(_CALLERS):
                callers.start_soon(self._caller, waiting.clone())

            waiting.close()

    async def place_again(self, orders: list[Order]) -> None:
        """Ask once more for what was acked: the answer must name the same."""
        for order in orders:
            known = self.acked.get(order.token)
            if known is None:
                continue

            again = await self._place(order)
            if again not in (known, None):
                sentence = f"first it was {known}, now {again}"
                self.violations.append(Violation("doubled", order.token, sentence))

    def unacked(self, orders: list[Order]) -> Iterator[Violation]:
        """The orders that never got a 2xx, with the latest answer to each."""
        for order in orders:
            if order.token not in self.acked:
                told = self.told.get(order.token, "never asked")
                yield Violation("lost", order.token, f"never acked, last: {told}")

    async def _caller(self, waiting: MemoryObjectReceiveStream[Order]) -> None:
        async with waiting:
            async for order in waiting:
                named = await self._place(order)
                self.told.pop(order.token, None)
                if named is not None:
                    self.acked[order.token] = named

    async def _place(self, order: Order) -> str | None:
        """What a 2xx named; None for an answer that no later try can mend."""
        while True:
            answer = await self._ask(order)
            if answer is None or answer.code in _LATER or _is_on_its_way(answer):
                self.told[order.token] = _brief(answer)
                await anyio.sleep(_PAUSE_S)
            elif answer.status in _ACKED:
                return str(answer.body.get("name") or answer.body["id"])
            else:
                sentence = f"{answer.status} {answer.body}"
                self.violations.append(Violation("wrong", order.token, sentence))
                return None

    async def _ask(self, order: Order) -> Answer | None:
        """The answer; None if the service went away before it was whole."""
        headers = {"Idempotency-Key": order.token}
        try:
            return await self._api.call("POST", order.path, order.body, headers=headers)
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return None


def _brief(answer: Answer | None) -> str:
    if answer is None:
        return "no answer"

    return f"{answer.status} {answer.code or answer.body}"


def _is_on_its_way(answer: Answer) -> bool:
    """Whether it is approved, and was not yet carried out after a restart."""
    return answer.status == 202 and answer.body.get("state") == "approved"
