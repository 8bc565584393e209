"""The folder's door while it is open: one process of many looks, the others wait."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
import structlog

from bus import Bus
from contracts import (
    Action,
    Channel,
    Clock,
    Decision,
    InvalidInput,
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
from gateways.knowledge.files import File, content_of, files_in
from store import Store

_EVERY_S = 2.0
_LEASE_S = 15.0
_FROM = "From the folder: "


@asynccontextmanager
async def open_folder(
    folder: Path, tenant: str, store: Store, bus: Bus, clock: Clock
) -> AsyncIterator[None]:
    """Look at a folder while the context lasts, every two seconds."""
    door = _Folder(folder, tenant, store, bus, clock)
    task = asyncio.create_task(door.keep_looking(), name="knowledge folder")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Folder:
    """Proposes what changed; a file that cannot be read leaves what was saved."""

    def __init__(
        self, folder: Path, tenant: str, store: Store, bus: Bus, clock: Clock
    ) -> None:
        self._folder = folder
        self._tenant = tenant
        self._store = store
        self._clock = clock
        self._counter = Counter(bus, store.decisions, "knowledge")
        self._owner = f"knowledge-{secrets.token_hex(8)}"
        self._seen: dict[str, tuple[int, int]] = {}
        self._log = structlog.get_logger("knowledge").bind(folder=str(folder))

    async def keep_looking(self) -> None:
        """Look again and again, while this process has the lease."""
        while True:
            try:
                if await self._is_ours():
                    await self._look()
            except TemporaryError as error:
                self._log.warning("knowledge.waits", reason=error.code)
            except OSError as error:
                self._log.warning(
                    "alarm", alarm="knowledge_unreadable", reason=str(error)
                )

            await self._clock.sleep(_EVERY_S)

    async def _is_ours(self) -> bool:
        now = stamp(self._clock.now())
        return await self._store.workers.lease(
            f"knowledge:{self._tenant}",
            self._owner,
            now=now,
            until=later(now, _LEASE_S),
        )

    async def _look(self) -> None:
        files = await anyio.to_thread.run_sync(files_in, self._folder)
        for name, file in files.items():
            if self._seen.get(name) != file.mark:
                await self._take_in(file)
                self._seen[name] = file.mark

        for name in self._seen.keys() - files.keys():
            await self._drop(name)
            del self._seen[name]

    async def _take_in(self, file: File) -> None:
        """Propose what stands in a file, if it is not what is saved already."""
        try:
            content = await anyio.to_thread.run_sync(content_of, file)
        except InvalidInput as error:
            self._tell(file.name, error.message)
            return

        body = {
            "name": file.name,
            "description": f"{_FROM}{file.path.name}",
            "content": content,
        }
        head = await self._store.definitions.head(self._tenant, "knowledge", file.name)
        if head is not None and head.digest == digest(body):
            return

        version = head.version if head is not None else None
        await self._propose(
            file.name, "knowledge.save", {"definition": body, "version": version}
        )

    async def _drop(self, name: str) -> None:
        """Propose that what a file had brought goes with it."""
        head = await self._store.definitions.head(self._tenant, "knowledge", name)
        if head is not None and head.body.get("description", "").startswith(_FROM):
            await self._propose(name, "knowledge.delete", {"name": name})

    async def _propose(self, name: str, action: Action, args: JsonObject) -> None:
        at = stamp(self._clock.now())
        decision = Decision(
            id=new_id("dec"),
            action=action,
            args=args,
            proposer=Proposer(kind="system", id="knowledge.dir"),
            principal=Principal(
                id="knowledge.dir",
                kind="system",
                subject="knowledge.dir",
                permissions=("definition.write",),
                tenant=self._tenant,
            ),
            channel=Channel(kind="cli", address=str(self._folder)[:200]),
            created_at=at,
            not_after=later(at, GATE_S),
        )
        answer = await self._counter.propose(decision)
        if isinstance(answer, Outcome) and answer.state == "succeeded":
            self._log.info("knowledge.saved", name=name, action=action)
        else:
            told = getattr(answer, "message", None) or getattr(answer, "error", None)
            self._tell(name, str(told or "A person is asked first."))

    def _tell(self, name: str, reason: str) -> None:
        self._log.warning("alarm", alarm="knowledge_invalid", name=name, reason=reason)
