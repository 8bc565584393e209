"""Permissions, and the roles that are sets of them.

A role is never implied by another; ``admin`` holds everything but voting.
"""

from __future__ import annotations

from typing import Literal

Permission = Literal[
    "read",
    "conversation",
    "workflow.run",
    "run.control",
    "tool.call",
    "message.send",
    "definition.write",
    "workflow.publish",
    "schedule.control",
    "approval.vote",
    "allowance.manage",
    "freeze.manage",
    "key.manage",
    "bridge.manage",
    "bridge.connect",
    "dead_letter.manage",
    "policy.manage",
]
"""Everything a principal may be allowed."""

Role = Literal["viewer", "operator", "builder", "admin", "approver", "bridge"]
"""The names of the sets of permissions."""

_VIEWER: frozenset[Permission] = frozenset({"read"})
_OPERATOR: frozenset[Permission] = _VIEWER | {
    "conversation",
    "workflow.run",
    "run.control",
    "tool.call",
    "message.send",
}
_BUILDER: frozenset[Permission] = _OPERATOR | {
    "definition.write",
    "workflow.publish",
    "schedule.control",
}
_ADMIN: frozenset[Permission] = _BUILDER | {
    "allowance.manage",
    "freeze.manage",
    "key.manage",
    "bridge.manage",
    "dead_letter.manage",
    "policy.manage",
}

ROLES: dict[Role, frozenset[Permission]] = {
    "viewer": _VIEWER,
    "operator": _OPERATOR,
    "builder": _BUILDER,
    "admin": _ADMIN,
    "approver": frozenset({"read", "approval.vote"}),
    "bridge": frozenset({"bridge.connect"}),
}
"""What each role may do."""


def permissions_of(roles: tuple[Role, ...]) -> tuple[Permission, ...]:
    """The sorted union of the permissions of these roles."""
    return tuple(sorted(frozenset[Permission]().union(*(ROLES[r] for r in roles))))


def holds_role(permissions: tuple[str, ...], role: str) -> bool:
    """Whether these permissions include every permission of a role."""
    wanted = {str(name): held for name, held in ROLES.items()}.get(role)
    return wanted is not None and wanted <= set(permissions)
