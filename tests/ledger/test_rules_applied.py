"""Rules before the fact, through the public door: what they refuse leaves nothing behind, what they remark is kept."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.fixtures.ledger import POSTED, RESULTS, Group, a_credit, a_lot, used

REMARKED = "transfer { id remarks { code rule source message } }"


def offsets(group: Group, quantity: int, **more: Any) -> dict[str, Any]:
    legs = [used(group.steel, quantity, "ZL-1", "CCER")]
    return {"legs": legs, "beneficiaryId": group.steel, "forYear": 2024} | more


async def headroom(group: Group, year: int = 2024) -> list[tuple[str, Any, str, Any]]:
    document = (
        "query Q($o: ID!, $y: Int!) { offsetHeadroom(organisationId: $o, year: $y) "
        "{ market limits { rule { code } limit used headroom } } }"
    )
    found = (await group.manager.ask(document, o=group.steel, y=year))["offsetHeadroom"]
    assert found["market"] == "CN"
    return [(x["rule"]["code"], x["limit"], x["used"], x["headroom"]) for x in found["limits"]]


async def test_offsets_stay_within_five_per_cent(group: Group) -> None:
    await group.issue(a_credit(group.steel))
    early = await group.manager.attempt("surrenderAssets", offsets(group, 1), POSTED)
    assert early["errors"][0]["code"] == "OFFSET_LIMIT_UNKNOWN"
    assert await headroom(group) == [("CN-OFFSET-5", None, "0", None)]
    await group.owe(group.steel, "2019.999")
    over = await group.manager.attempt("surrenderAssets", offsets(group, 101), POSTED)
    (error,) = over["errors"]
    assert (error["code"], error["__typename"]) == ("OFFSET_LIMIT_EXCEEDED", "RuleError")
    assert "100 t are left" in error["message"]
    assert "第二十九条" in error["message"]
    first = await group.manager.do("surrenderAssets", offsets(group, 60), POSTED)
    assert await headroom(group) == [("CN-OFFSET-5", "100", "60", "40")]
    assert (await group.manager.attempt("surrenderAssets", offsets(group, 41), POSTED))["errors"]
    await group.manager.do("reverseTransfer", {"transferId": first["transfer"]["id"]}, POSTED)
    assert await headroom(group) == [("CN-OFFSET-5", "100", "0", "100")]
    await group.manager.do("surrenderAssets", offsets(group, 100), POSTED)
    assert await group.held(group.steel) == {"ZL-1": "900"}


async def test_a_batch_counts_what_stands_before_it(group: Group) -> None:
    await group.issue(a_credit(group.steel), a_lot(group.steel))
    await group.owe(group.steel, "1000")
    rows = [offsets(group, q) | {"kind": "SURRENDER"} for q in (30, 30, 20, 1)]
    rows.append({"kind": "SURRENDER", "legs": [used(group.steel, 5)], "beneficiaryId": group.steel, "forYear": 2024})
    done = await group.manager.do("postTransfers", {"transfers": rows}, RESULTS)
    codes = [r["error"] and r["error"]["code"] for r in done["results"]]
    assert codes == [None, "OFFSET_LIMIT_EXCEEDED", None, "OFFSET_LIMIT_EXCEEDED", None]


async def test_two_at_once_cannot_share_the_headroom(group: Group) -> None:
    await group.issue(a_credit(group.steel))
    await group.owe(group.steel, "1000")
    tries = [group.manager.attempt("surrenderAssets", offsets(group, 7), POSTED) for _ in range(16)]
    answers = await asyncio.gather(*tries)
    assert sum(not a["errors"] for a in answers) == 7
    assert await headroom(group) == [("CN-OFFSET-5", "50", "49", "1")]


async def test_vintages_and_markets(group: Group) -> None:
    rows = [a_lot(group.steel, str(v), 10, vintage=v) for v in (2018, 2024, 2025)]
    await group.issue(*rows, a_lot(group.steel, "GD", 10, scheme="GDEA"), a_lot(group.steel, "none", 10, vintage=None))
    await group.owe(group.steel, "1000", market="CN")
    for reference, scheme, code in (
        ("2018", "CEA", "VINTAGE_NOT_USABLE"),
        ("2025", "CEA", "VINTAGE_NOT_USABLE"),
        ("none", "CEA", "VINTAGE_NOT_USABLE"),
        ("GD", "GDEA", "WRONG_MARKET"),
    ):
        refused = await group.surrender(group.steel, used(group.steel, 1, reference, scheme))
        assert [e["code"] for e in refused["errors"]] == [code]
        assert refused["errors"][0]["path"] == ["legs", "0", "lot"]
    assert (await group.surrender(group.steel, used(group.steel, 1, "2024")))["errors"] == []
    bad = {"organisationId": group.steel, "fromYear": 2023, "toYear": 2023, "tonnes": "1", "market": "XX"}
    refused = await group.manager.attempt("setObligation", bad, "obligation { id }")
    assert refused["errors"][0]["code"] == "UNKNOWN_MARKET"
    assert (await group.held(group.steel))["2024"] == "9"


async def test_what_should_be_done_is_remarked_and_kept(group: Group) -> None:
    await group.issue(a_credit(group.steel), a_lot(group.steel, "bought", 10, origin="PURCHASED"))
    rehearsed = await group.manager.do("retireAssets", offsets(group, 5, dryRun=True), REMARKED)
    done = await group.manager.do("retireAssets", offsets(group, 5), REMARKED)
    (remark,) = done["transfer"]["remarks"]
    assert (remark["code"], remark["rule"]) == ("PREFERRED_FIRST", "T061-8.4.2-ORDER")
    assert "10 t of ALLOWANCE" in remark["message"]
    assert rehearsed["transfer"]["remarks"] == [remark]
    listed = "{ assetTransfers(kind: RETIRE) { nodes { id remarks { code rule source message } } } }"
    (kept,) = (await group.manager.ask(listed))["assetTransfers"]["nodes"]
    assert kept == done["transfer"]


async def test_the_rules_can_be_read(group: Group) -> None:
    document = """query Q($m: String, $d: Date) { rules(market: $m, on: $d) { code must level source share kind } }"""
    now = (await group.manager.ask(document, m="CN", d="2025-01-01"))["rules"]
    before = (await group.manager.ask(document, m="CN", d="2020-01-01"))["rules"]
    limit = next(r for r in now if r["kind"] == "OFFSET_LIMIT")
    assert (limit["share"], limit["must"], limit["level"]) == ("0.05", True, "OFFICIAL_COPY")
    assert limit["code"] not in {r["code"] for r in before}
    markets = (await group.manager.ask("{ markets { code instruments { scheme } remarkZh } }"))["markets"]
    assert len(markets) == 12
    by_scheme = (await group.manager.ask('{ rules(scheme: "GDEA", on: "2025-01-01") { market } }'))["rules"]
    assert {r["market"] for r in by_scheme} == {"GD"}
    unknown = await group.manager.run(document, m="XX")
    assert unknown.errors[0]["extensions"]["code"] == "UNKNOWN_MARKET"
