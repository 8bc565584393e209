"""An examination of a provider: whether it answers, takes the key, knows the model."""

from __future__ import annotations

import httpx2
import openai
from openai import AsyncOpenAI

from contracts import Finding
from llm.servers import Server

_DEADLINE_S = 5.0
_WHAT = "model"


async def examine(server: Server) -> Finding:
    """What a look at the provider finds; nothing is asked that costs."""
    where = server.base_url or "the provider"
    client = AsyncOpenAI(
        api_key=server.api_key,
        base_url=server.base_url or None,
        max_retries=0,
        timeout=httpx2.Timeout(_DEADLINE_S),
    )
    try:
        await client.get(f"/models/{server.model}", cast_to=object)
    except openai.AuthenticationError:
        return Finding(_WHAT, "bad", f"{where} refuses the key: check llm.api_key")
    except openai.NotFoundError:
        said = f"{where} answers, and tells of no model {server.model!r}"
        return Finding(_WHAT, "note", said)
    except openai.APIStatusError as error:
        return Finding(_WHAT, "bad", f"{where} answers with {error.status_code}")
    except openai.APIConnectionError:
        return Finding(_WHAT, "bad", f"{where} does not answer: check llm.base_url")
    finally:
        await client.close()

    return Finding(_WHAT, "ok", f"{server.model} at {where}")
