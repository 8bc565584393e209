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
    Clock,
    InvalidInput,
    JsonObject,
    SluicegateError,
    TemporaryError,
    later,
    read,
    stamp,
)
from contracts.definitions import Knowledge
from gateways.knowledge.files import File, content_of, files_in
from gateways.knowledge.proposals import NotTaken, Proposals
from gateways.knowledge.watch import Watch
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
    """Proposes what changed.

    A file that cannot be read, or is not taken, leaves what was saved, and keeps no
    other file from being seen. So does a folder that is away as a whole.
    """

    def __init__(
        self, folder: Path, tenant: str, store: Store, bus: Bus, clock: Clock
    ) -> None:
        self._folder = folder
        self._tenant = tenant
        self._store = store
        self._clock = clock
        self._proposals = Proposals(tenant, str(folder), store, bus, clock)
        self._owner = f"knowledge-{secrets.token_hex(8)}"
        self._watch = Watch()
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
                self._alarm("knowledge_unreadable", reason=str(error))
            except Exception:  # noqa: BLE001  a folder outlives its errors
                self._log.exception("alarm", alarm="knowledge_unreadable")

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
        now = self._clock.monotonic()
        due = self._watch.due(files, now)
        for file in self._watch.gone(now):
            await self._drop(file)

        for file in due:
            await self._deal_with(file)

    async def _deal_with(self, file: File) -> None:
        """Take a file in; what is wrong with it alone is told, and waits."""
        try:
            await self._take_in(file)
        except (TemporaryError, NotTaken) as error:
            self._put_off(file, error)
        except OSError as error:
            wait = self._watch.try_later(file, self._clock.monotonic())
            reason = str(error)
            self._alarm(
                "knowledge_unreadable", name=file.name, reason=reason, again_in_s=wait
            )
        except SluicegateError as error:
            self._watch.settle(file)
            self._tell(file, error.message)
        else:
            self._watch.settle(file)

    async def _take_in(self, file: File) -> None:
        """Propose what stands in a file, if it is not what is saved already."""
        rival = self._watch.rival(file)
        if rival is not None:
            raise InvalidInput(f"{rival.path.name} has this name already.")

        content = await anyio.to_thread.run_sync(content_of, file)
        body: JsonObject = {
            "name": file.name,
            "description": f"{_FROM}{file.path.name}",
            "content": content,
        }
        read(Knowledge, body)
        if await self._proposals.save(body):
            self._log.info("knowledge.saved", name=file.name)

    async def _drop(self, file: File) -> None:
        """Propose that what a file had brought goes with it."""
        head = await self._store.definitions.head(self._tenant, "knowledge", file.name)
        try:
            if head is not None and head.body.get("description", "").startswith(_FROM):
                await self._proposals.delete(file.name, head.version)
                self._log.info("knowledge.deleted", name=file.name)
        except (TemporaryError, NotTaken) as error:
            self._put_off(file, error)
        else:
            self._watch.forget(file)

    def _put_off(self, file: File, error: TemporaryError | NotTaken) -> None:
        """Try it again later; it is an alarm if somebody said no."""
        wait = self._watch.try_later(file, self._clock.monotonic())
        if isinstance(error, TemporaryError):
            self._log.warning("knowledge.waits", name=file.name, reason=error.code)
        else:
            self._tell(file, str(error), again_in_s=wait)

    def _tell(self, file: File, reason: str, **more: float) -> None:
        self._alarm("knowledge_invalid", name=file.name, reason=reason, **more)

    def _alarm(self, alarm: str, **said: str | float) -> None:
        self._log.warning("alarm", alarm=alarm, **said)
