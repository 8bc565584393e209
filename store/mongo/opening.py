"""Opening a database: what a URL must say, and what a server must be."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from pymongo import AsyncMongoClient, ReadPreference, WriteConcern
from pymongo.errors import (
    ConfigurationError as DriverConfigurationError,
)
from pymongo.errors import (
    InvalidURI,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

from contracts import ConfigurationError
from store.mongo.database import Database, Document
from store.mongo.words import in_our_words

DEADLINE_S = 5.0
"""How long any operation may take, retries and the choice of a server included."""

_PROBE_MS = 700
_REFUSED_BY_ACCESS = frozenset({13, 18})

Client = AsyncMongoClient[Document]


def client_of(url: str, deadline_s: float = DEADLINE_S) -> Client:
    """A client of this URL, not connected yet. Raises ConfigurationError."""
    milliseconds = round(deadline_s * 1_000)
    try:
        # Polling monitors: a failing operation tells of a fail-over soon enough, and
        # a client closed early leaves no socket of a second monitor behind.
        client: Client = AsyncMongoClient(
            url,
            timeoutMS=milliseconds,
            appname="sluicegate",
            serverMonitoringMode="poll",
        )
    except (InvalidURI, DriverConfigurationError, ValueError, TypeError) as error:
        raise _unusable(f"cannot be read: {error}") from error

    return client


def database_of(client: Client, url: str) -> Database:
    """The database that the client's URL names, with what a store needs.

    Raises ConfigurationError for a URL that names none or asks for less safety.
    """
    problem = _problem(client, url)
    if problem is not None:
        raise _unusable(problem)

    return Database(
        client.get_default_database().with_options(
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
    )


async def unless_alone(url: str) -> None:
    """Raises ConfigurationError if a URL's one server belongs to no replica set.

    Asked of the server itself: the client of a replica set knows no others, and would
    look for its members until the deadline.
    """
    try:
        probe: Client = AsyncMongoClient(
            url,
            replicaSet=None,
            directConnection=True,
            timeoutMS=_PROBE_MS,
            serverMonitoringMode="poll",
        )
        async with probe:
            said = await probe.admin.command("hello")
    except PyMongoError:  # several servers, or none that answers: ``greet`` tells
        return

    sharded = said.get("msg") == "isdbgrid"
    if not ("setName" in said or said.get("isreplicaset") or sharded):
        raise _unusable("names a standalone server; make it a replica set of one")


async def greet(client: Client) -> None:
    """Return when the server answers.

    Raises ConfigurationError if it refuses access, StoreUnavailable if it is silent.
    """
    with in_our_words():
        try:
            await client.get_default_database().command("listCollections")
        except OperationFailure as error:
            if error.code in _REFUSED_BY_ACCESS:
                raise _unusable("is refused access by the server") from error

            raise


def _problem(client: Client, url: str) -> str | None:
    """What a URL asks for that a store cannot live with."""
    try:
        client.get_default_database()
    except DriverConfigurationError:
        return "names no database; end it with /name"

    concern = client.write_concern.document
    if concern.get("w", "majority") in {0, 1} or concern.get("j") is False:
        return "asks for less than w=majority and the journal"

    if _zlib(url):
        return "asks for zlib, which leaked memory of servers (CVE-2025-14847)"

    if not client.options.retry_writes:
        return "turns retryWrites off"

    return None


def _zlib(url: str) -> bool:
    """Whether a URL asks for the compression that leaked the server's memory."""
    options = parse_qsl(urlsplit(url).query)
    said = {name.lower(): value for name, value in options}
    return "zlib" in said.get("compressors", "")


def _unusable(problem: str) -> ConfigurationError:
    return ConfigurationError(f"store.url {problem}.", code="store_unusable")
