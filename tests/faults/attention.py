"""The person who is asked about a lost call looks at the sink, and says what is so."""

from __future__ import annotations

from contracts import JsonObject
from tests.faults.evidence import Evidence, History, rest_of
from tests.faults.orders import UNREPEATABLE
from tests.support.api import Api

_RESULT: JsonObject = {"received": True}


async def answer_all(api: Api, evidence: Evidence) -> int:
    """Answer for every run that needs attention; how many there were."""
    received = {one.token for one in evidence.received if one.step in UNREPEATABLE}
    waiting = [
        history
        for history in evidence.histories.values()
        if rest_of(history) == "needs_attention"
    ]
    for history in waiting:
        path = f"/runs/{history.shown['id']}/resume"
        await api.post(path, _answer(history, received))

    return len(waiting)


def _answer(history: History, received: set[str]) -> JsonObject:
    if history.shown["input"]["token"] in received:
        return {"resolution": "happened", "result": _RESULT}

    return {"resolution": "did_not_happen"}
