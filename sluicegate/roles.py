"""Roles: what a process may be, on which bus and which store."""

from __future__ import annotations

from contracts import ConfigurationError, RoleName
from sluicegate.config import Settings

Roles = frozenset[RoleName]

ALL: Roles = frozenset({"gateway", "coordinator", "worker"})

NAMES: dict[str, Roles] = {"all": ALL, **{one: frozenset({one}) for one in sorted(ALL)}}
"""Every value of ``--role``."""


def roles_of(name: str) -> Roles:
    """The roles of a ``--role``. Raises ConfigurationError."""
    if name not in NAMES:
        raise ConfigurationError(f"--role {name}: it is one of {', '.join(NAMES)}")

    return NAMES[name]


def refuse_impossible(settings: Settings, roles: Roles) -> None:
    """Raise ConfigurationError for a combination that cannot work, with the reason."""
    shared_bus, shared_store = settings.bus.is_shared, settings.store.is_shared
    if shared_bus and not shared_store:
        raise ConfigurationError(
            "bus.url is Redis and store.url is SQLite: processes that share a bus need "
            "a store they can share; use mongodb://… as store.url, or memory:// as "
            "bus.url"
        )

    if shared_store and not shared_bus:
        raise ConfigurationError(
            "store.url is MongoDB and bus.url is memory://: a second process would "
            "hear nothing of the first; use redis://… as bus.url, or a sqlite:/// file "
            "as store.url"
        )

    if not shared_bus and roles != ALL:
        (role,) = roles
        raise ConfigurationError(
            f"--role {role}: with bus.url = memory:// one process has all roles"
        )
