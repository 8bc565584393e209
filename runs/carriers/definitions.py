"""Saving and deleting definitions."""

from __future__ import annotations

from typing import cast

from contracts import NotFound, derived_id, digest, read
from contracts.action_args import DeleteDefinition, SaveDefinition
from contracts.definitions import DefinitionKind, Head
from plans import read_definition
from runs.carriers.carrying import Carried, Use
from store import Definitions


class DefinitionSaving:
    """Carries ``KIND.save`` out: a new version becomes the head."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    async def __call__(self, use: Use) -> Carried:
        """See Carrier. Raises Conflict for a taken name or an old version."""
        kind = _kind_of(use)
        args = read(SaveDefinition, use.decision.args)
        model = read_definition(kind, args.definition)
        body = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
        known = await self._definitions.head(use.tenant, kind, model.name)
        head = Head(
            id=known.id if known else derived_id("def", use.decision.id, kind),
            tenant=use.tenant,
            kind=kind,
            name=model.name,
            version=1,
            digest=digest(body),
            published_version=known.published_version if known else None,
            created_at=use.at,
            created_by=use.approved.subject,
            decision_id=use.decision.id,
            body=body,
        )
        saved = await self._definitions.save(head, expected_version=args.version)
        return Carried(
            {
                "name": saved.name,
                "version": saved.version,
                "digest": saved.digest,
                "id": saved.id,
            }
        )


class DefinitionDeleting:
    """Carries ``KIND.delete`` out: the head goes, the archive stays."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    async def __call__(self, use: Use) -> Carried:
        """See Carrier. Raises NotFound, Conflict for an old version."""
        kind = _kind_of(use)
        args = read(DeleteDefinition, use.decision.args)
        gone = await self._definitions.delete(
            use.tenant, kind, args.name, expected_version=args.version, at=use.at
        )
        if not gone:
            raise NotFound(f"There is no {kind} {args.name!r}.")

        return Carried({"name": args.name, "deleted": True})


def _kind_of(use: Use) -> DefinitionKind:
    return cast(DefinitionKind, use.decision.action.partition(".")[0])
