"""The shipped order workflow on many processes; its effect is a slow call."""

from __future__ import annotations

from typing import Any, NamedTuple

import aiohttp
import anyio

from plans import read_yaml
from tests.faults.works import SETTLE_S, Works
from tests.support.api import Answer, Api
from tests.support.checkout import ROOT
from tests.support.polling import until

_PAUSE_S = 0.1
_EXAMPLES = ROOT / "examples"


class Shop(NamedTuple):
    """Who orders, who approves, and what they order from."""

    works: Works
    buyer: Api
    approver: Api

    async def asked(self, item: str, quantity: int) -> str:
        """Order something; the id of its run, which waits for a person."""
        wanted = {"item": item, "quantity": quantity}
        run = await self.buyer.run("order", wanted)
        assert (run["status"], run["paused_reason"]) == ("paused", "approval")
        return str(run["id"])

    async def approve(self, run_id: str) -> Answer:
        """Say yes until somebody has carried it out. Raises TimeoutError."""
        with anyio.fail_after(SETTLE_S):
            while True:
                answer = await self._vote(run_id)
                if answer is not None and answer.status < 300:
                    return answer

                print(f"not approved yet: {answer}")
                await anyio.sleep(_PAUSE_S)

    async def rested(self, run_id: str, rest: str) -> Any:
        """The run, once it rests so, or when the time is over."""
        path = f"/runs/{run_id}"

        async def rests() -> bool:
            run = await self.works.api.get(path)
            return rest in (run["paused_reason"], run["status"])

        await until(rests, within_s=SETTLE_S, every_s=_PAUSE_S)
        return await self.works.api.get(path)

    async def _vote(self, run_id: str) -> Answer | None:
        """The answer; None if the gateway went away before it was whole."""
        path, headers = f"/runs/{run_id}/approve", {"Idempotency-Key": run_id}
        body = {"node_id": "order", "approve": True}
        try:
            return await self.approver.call("POST", path, body, headers=headers)
        except (aiohttp.ClientError, TimeoutError):
            return None


async def open_shop(works: Works) -> Shop:
    """Save the order workflow with its tools, and let two people in."""
    api = works.api
    await api.post("/tools", _example("tools/look-up"))
    await api.post("/tools", _through(works.sink.url, _example("tools/place-order")))
    await api.post("/workflows", _example("order"))
    people = {"ada": "operator", "grace": "approver"}
    made = [
        await api.post("/keys", {"subject": subject, "roles": [role]})
        for subject, role in people.items()
    ]
    buyer, approver = (api.as_holder_of(one["key"]) for one in made)
    return Shop(works, buyer, approver)


def _example(name: str) -> Any:
    return read_yaml((_EXAMPLES / f"{name}.yaml").read_bytes())


def _through(sink: str, tool: Any) -> Any:
    """The tool, as one whose calls the sink answers slowly and writes down."""
    token = "${input.item}-${input.quantity}"
    body = {"step": tool["name"], "token": token}
    call = {"method": "POST", "url": f"{sink}/slower/order", "body": body}
    del tool["function"]
    return tool | {"kind": "http", "http": call}
