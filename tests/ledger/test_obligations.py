"""Obligations are recorded, superseded, and met."""

from __future__ import annotations

from typing import Any

from tests.fixtures.ledger import POSTED, Group, retired, used

FIELDS = "id tonnes fromYear toYear supersededAt supersededById source"


def owes(organisation_id: str, tonnes: str, first: int = 2023, last: int = 2024) -> dict[str, Any]:
    return {
        "organisationId": organisation_id,
        "fromYear": first,
        "toYear": last,
        "tonnes": tonnes,
        "source": "核查报告",
    }


async def test_superseded_not_edited(group: Group) -> None:
    first = await group.manager.do("setObligation", owes(group.steel, "1000.5"), f"obligation {{ {FIELDS} }}")
    second = await group.manager.do("setObligation", owes(group.steel, "900"), f"obligation {{ {FIELDS} }}")
    document = f"query Q($o: ID) {{ obligations(organisationId: $o) {{ nodes {{ {FIELDS} }} }} }}"
    history = (await group.manager.ask(document, o=group.steel))["obligations"]["nodes"]
    assert [h["tonnes"] for h in history] == ["1000.500000000", "900.000000000"]
    assert history[0]["supersededById"] == second["obligation"]["id"]
    assert history[0]["supersededAt"] is not None
    assert history[1]["supersededAt"] is None
    assert first["obligation"]["supersededAt"] is None


async def test_rows(group: Group) -> None:
    await group.manager.do("setObligation", owes(group.steel, "1"), "obligation { id }")
    rows = [
        owes(group.steel, "2", 2024, 2025),
        owes(group.steel, "3"),
        owes(group.cement, "-1"),
        owes(group.cement, "1.0000000001"),
        owes(group.cement, "1", 2024, 2023),
        owes(group.cement, "1", 1900, 2023),
        owes(group.cement, "0"),
        owes(group.cement, "5"),
    ]
    payload = await group.manager.do(
        "setObligations", {"obligations": rows}, "results { obligation { tonnes } error { code path } }"
    )
    found = [r["error"] and r["error"]["code"] for r in payload["results"]]
    assert found == [
        "OBLIGATION_OVERLAP",
        None,
        "BAD_TONNES",
        "BAD_TONNES",
        "BAD_OBLIGATION_PERIOD",
        "BAD_YEAR",
        None,
        None,
    ]
    assert payload["results"][0]["error"]["path"] == ["obligations", "0", "fromYear"]


async def test_position(group: Group) -> None:
    await group.stock(group.steel)
    await group.manager.do("setObligation", owes(group.steel, "1000.5"), "obligation { id }")
    await group.surrender(group.steel, used(group.steel, 600))
    await group.manager.do("retireAssets", retired(group.steel, used(group.steel, 100)), POSTED)
    document = (
        "query Q($o: ID!) { assetPosition(organisationId: $o, year: 2024) { shortfall obligation { tonnes } "
        "held { assetClass quantity } used { use assetClass bought quantity } } }"
    )
    position = (await group.manager.ask(document, o=group.steel))["assetPosition"]
    assert position == {
        "shortfall": "400.500000000",
        "obligation": {"tonnes": "1000.500000000"},
        "held": [{"assetClass": "ALLOWANCE", "quantity": "300"}],
        "used": [
            {"use": "RETIRED", "assetClass": "ALLOWANCE", "bought": False, "quantity": "100"},
            {"use": "SURRENDERED", "assetClass": "ALLOWANCE", "bought": False, "quantity": "600"},
        ],
    }
