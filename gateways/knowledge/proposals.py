"""What a change in a folder is proposed as, and what became of it."""

from __future__ import annotations

from bus import Bus
from contracts import (
    Action,
    Awaiting,
    Channel,
    Clock,
    Decision,
    JsonObject,
    Outcome,
    Principal,
    Proposer,
    TemporaryError,
    digest,
    later,
    new_id,
    stamp,
)
from gateways.counter import GATE_S, Counter
from store import DecisionFilter, Store

_WHO = "knowledge.dir"
_MOST_ASKED = 200


class NotTaken(Exception):
    """The change was not made: it was refused, failed, or a person is asked first."""


class Proposals:
    """Proposes changes for the system.

    A change that waits for a person is proposed again by no process; one that was
    refused is, as another decision.
    """

    def __init__(
        self, tenant: str, address: str, store: Store, bus: Bus, clock: Clock
    ) -> None:
        self._tenant = tenant
        self._channel = Channel(kind="cli", address=address[:200])
        self._store = store
        self._clock = clock
        self._counter = Counter(bus, store.decisions, "knowledge")
        self._unanswered: dict[str, str] = {}
        """The decision of each change that the gate did not answer, so far."""

    async def save(self, body: JsonObject) -> bool:
        """Save a body; whether it was another one before.

        Raises NotTaken, SluicegateError.
        """
        name = body["name"]
        head = await self._store.definitions.head(self._tenant, "knowledge", name)
        if head is not None and head.digest == digest(body):
            args = {"name": name, "version": head.version}
            if await self._is_asked_about("knowledge.delete", args):
                raise NotTaken("A person is asked to delete it, and it is back.")

            return False

        version = head.version if head is not None else None
        args = {"definition": body, "version": version}
        await self._propose("knowledge.save", args)
        return True

    async def delete(self, name: str, version: int) -> None:
        """Delete what has this name, unless it was saved again since.

        Raises NotTaken, SluicegateError.
        """
        await self._propose("knowledge.delete", {"name": name, "version": version})

    async def _propose(self, action: Action, args: JsonObject) -> None:
        if await self._is_asked_about(action, args):
            raise NotTaken("A person is asked first.")

        change = digest({"action": action, "args": args})
        id_ = self._unanswered.pop(change, None) or new_id("dec")
        try:
            answer = await self._counter.propose(self._decision(id_, action, args))
        except TemporaryError:
            self._unanswered[change] = id_
            raise

        if isinstance(answer, Outcome) and answer.state == "succeeded":
            return

        if isinstance(answer, Awaiting):
            raise NotTaken(f"A person is asked first: {answer.approval_id}.")

        fault = answer.error if isinstance(answer, Outcome) else None
        told = fault.message if fault is not None else getattr(answer, "message", "")
        raise NotTaken(told or "It came to nothing.")

    async def _is_asked_about(self, action: Action, args: JsonObject) -> bool:
        """Whether this very change waits for a person, whoever proposed it."""
        where = DecisionFilter(action=action, state="awaiting", subject=_WHO)
        page = await self._store.decisions.page(self._tenant, where, limit=_MOST_ASKED)
        return any(record.decision.args == args for record in page.items)

    def _decision(self, id_: str, action: Action, args: JsonObject) -> Decision:
        at = stamp(self._clock.now())
        return Decision(
            id=id_,
            action=action,
            args=args,
            proposer=Proposer(kind="system", id=_WHO),
            principal=Principal(
                id=_WHO,
                kind="system",
                subject=_WHO,
                permissions=("definition.write",),
                tenant=self._tenant,
            ),
            channel=self._channel,
            created_at=at,
            not_after=later(at, GATE_S),
        )
