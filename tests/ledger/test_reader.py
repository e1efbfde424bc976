"""What consolidation reads: uses net of reversals, holdings as of a day, obligations by last year."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from backend.kit.database import Database
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.transfers import Use
from backend.ledger.service import LedgerReader
from tests.fixtures.ledger import POSTED, Group, a_lot, key, moved, retired, used


async def test_used_is_net_of_reversals_and_knows_what_was_bought(group: Group, worker_database: Database) -> None:
    await group.stock(group.steel)
    await group.issue(a_lot(group.steel, "bought", 50, origin="PURCHASED", vintage=2023))
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 300)]}, POSTED)
    undone = await group.surrender(group.steel, used(group.steel, 7))
    await group.manager.do("reverseTransfer", {"transferId": undone["transfer"]["id"]}, POSTED)
    for holder, beneficiary, quantity, reference in (
        (group.steel, group.steel, 10, "2024-001"),
        (group.steel, group.steel, 20, "bought"),
        (group.cement, group.cement, 30, "2024-001"),
        (group.cement, group.steel, 40, "2024-001"),
        (group.steel, group.cement, 50, "2024-001"),
    ):
        await group.manager.do("retireAssets", retired(beneficiary, used(holder, quantity, reference)), POSTED)
    async with worker_database.read(group.world.tenant_id) as session:
        asked = [key(group.steel), key(group.cement)]
        found = await LedgerReader.used(session, asked, 2024, 2024)
        assert await LedgerReader.used(session, asked, 2025, 2030) == []
    assert [(u.quantity_t, u.bought, u.vintage) for u in found] == [
        (10, False, 2024),
        (20, True, 2023),
        (30, True, 2024),
        (40, False, 2024),
        (50, False, 2024),
    ]
    assert {u.use for u in found} == {Use.RETIRED}
    assert found[3].organisation_id == key(group.steel)


async def test_cancelled_for_a_year_counts_as_such(group: Group, worker_database: Database) -> None:
    await group.stock(group.steel)
    given = {"legs": [used(group.steel, 5)], "beneficiaryId": group.steel, "forYear": 2024}
    await group.manager.do("cancelAssets", given, POSTED)
    await group.manager.do("cancelAssets", {"legs": [used(group.steel, 6)]}, POSTED)
    async with worker_database.read(group.world.tenant_id) as session:
        found = await LedgerReader.used(session, [key(group.steel)], 2024, 2024)
    assert [(u.use, u.quantity_t) for u in found] == [(Use.CANCELLED, 5)]


async def test_held_as_of_a_day(group: Group, worker_database: Database) -> None:
    await group.stock(group.steel)
    legs = [moved(group.steel, group.cement, 300)]
    await group.manager.do("transferAssets", {"legs": legs, "effectiveOn": "2024-12-31"}, POSTED)
    await group.surrender(group.cement, used(group.cement, 100), effectiveOn="2025-03-01")
    steel, cement = key(group.steel), key(group.cement)
    expected = {
        date(2024, 6, 30): {},
        date(2024, 7, 1): {steel: 1000},
        date(2024, 12, 31): {steel: 700, cement: 300},
        date(2025, 3, 1): {steel: 700, cement: 200},
    }
    async with worker_database.read(group.world.tenant_id) as session:
        for day, holdings in expected.items():
            found = await LedgerReader.held(session, [steel, cement], day)
            assert {h.organisation_id: h.quantity_t for h in found} == holdings
            assert {h.asset_class for h in found} <= {AssetClass.ALLOWANCE}


async def test_obligations_by_last_year(group: Group, worker_database: Database) -> None:
    owed = {"organisationId": group.steel, "fromYear": 2013, "toYear": 2014, "tonnes": "12.5"}
    await group.manager.do("setObligation", owed, "obligation { id }")
    await group.manager.do("setObligation", owed | {"tonnes": "13"}, "obligation { id }")
    async with worker_database.read(group.world.tenant_id) as session:
        found = await LedgerReader.obligations(session, [key(group.steel)], 2014, 2014)
        assert await LedgerReader.obligations(session, [key(group.steel)], 2013, 2013) == []
    assert [(o.from_year, o.to_year, o.tonnes) for o in found] == [(2013, 2014, Decimal(13))]
