"""An examination of a MongoDB: whether it answers, and is safe to remember in."""

from __future__ import annotations

from contracts import ConfigurationError, Finding, StoreUnavailable
from store.mongo.migrations import schema_version
from store.mongo.opening import client_of, database_of, greet, unless_alone
from store.mongo.schema import STEPS
from store.mongo.words import in_our_words

_DEADLINE_S = 3.0


async def examine(url: str) -> Finding:
    """What a look at the database of this URL finds; nothing is changed there."""
    try:
        client = client_of(url, _DEADLINE_S)
        database = database_of(client, url)
        await unless_alone(url)
        async with client:
            await greet(client)
            with in_our_words():
                version = (await client.server_info())["version"]

            return _judged(version, await schema_version(database))
    except ConfigurationError as error:
        return Finding("mongo", "bad", error.message)
    except StoreUnavailable as error:
        return Finding("mongo", "bad", f"{error.message} Is it started?")


def _judged(version: str, schema: int) -> Finding:
    if schema > len(STEPS):
        said = f"MongoDB {version}: its schema {schema} is newer than this release"
        return Finding("mongo", "bad", said)

    return Finding("mongo", "ok", f"MongoDB {version}, schema {schema} of {len(STEPS)}")
