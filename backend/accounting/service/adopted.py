"""The factor library as an organisation sees it: its own sets, those from above, and the one it has adopted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from backend.accounting.domain.adoption import AdoptedSets
from backend.accounting.domain.factors import Library
from backend.accounting.repository import factors as factor_rows
from backend.accounting.repository import own_sets as rows
from backend.kit.database import ReadSession
from tenants.domain.boundaries import BoundaryKey
from tenants.service.boundaries import BoundaryReader


async def adopted_sets(session: ReadSession, organisation_ids: Collection[UUID]) -> AdoptedSets:
    """What these organisations have adopted over time, themselves or from above."""
    return AdoptedSets(await BoundaryReader.over_time(session, organisation_ids, BoundaryKey.FACTOR_SET))


async def library_at(session: ReadSession, organisation_id: UUID) -> Library:
    """The values an organisation may use now."""
    return (await libraries(session, [organisation_id]))[organisation_id]


async def libraries(session: ReadSession, organisation_ids: Collection[UUID]) -> dict[UUID, Library]:
    """For each organisation the values it may use now: of own sets only those of organisations at or above it."""
    whole = await factor_rows.library(session)
    own = {s.code: s.own_set_id for s in whole.sets if s.own_set_id}
    adopted = await adopted_sets(session, organisation_ids)
    if not own and not adopted.spells:
        return dict.fromkeys(organisation_ids, whole)
    offered, month = await rows.offered_at(session, organisation_ids), (await rows.today(session)).replace(day=1)
    found: dict[frozenset[UUID], Library] = {}
    made = {}
    for key in organisation_ids:
        at = offered.get(key, frozenset())
        if at not in found:
            hidden = {code for code, set_id in own.items() if set_id not in at}
            sets = [s for s in whole.sets if s.code not in hidden]
            found[at] = replace(whole, sets=sets, factors=[f for f in whole.factors if f.set_code not in hidden])
        made[key] = found[at].preferring(adopted.on(key, month))
    return made
