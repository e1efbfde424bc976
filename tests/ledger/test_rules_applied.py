"""Rules before the fact, through the public door: what they refuse leaves nothing behind, what they remark is kept."""

from __future__ import annotations

import asyncio
from typing import Any

from backend.ledger.rulebook.domain import rulebook
from tests.fixtures.ledger import POSTED, RESULTS, Group, a_credit, a_lot, moved, retired, used

REMARKED = "transfer { id remarks { code rule source message } }"


def offsets(group: Group, quantity: int, **more: Any) -> dict[str, Any]:
    legs = [used(group.steel, quantity, "ZL-1", "CCER")]
    return retired(group.steel, *legs) | more


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
    rows = [a_lot(group.steel, str(v), 10, vintage=v) for v in (2024, 2025)]
    # Nobody was given allowances of 2018, so they can only have been bought.
    bought = a_lot(group.steel, "2018", 10, vintage=2018, origin="PURCHASED")
    await group.issue(
        *rows, bought, a_lot(group.steel, "GD", 10, scheme="GDEA"), a_lot(group.steel, "none", 10, vintage=None)
    )
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


async def _told(group: Group, verb: str, given: dict[str, Any]) -> list[str]:
    """The codes of what is remarked, in the answer and again when the transfer is read."""
    done = (await group.manager.do(verb, given, REMARKED))["transfer"]
    document = "query N($i: ID!) { node(id: $i) { ... on AssetTransfer { id remarks { code rule source message } } } }"
    assert (await group.manager.ask(document, i=done["id"]))["node"] == done
    return [remark["code"] for remark in done["remarks"]]


async def test_a_surrender_that_meets_nothing_or_comes_late_is_remarked(group: Group) -> None:
    await group.issue(a_lot(group.steel), a_lot(group.steel, "2023", 100, vintage=2023))
    given: dict[str, Any] = {"beneficiaryId": group.steel, "forYear": 2024, "evidence": "清缴凭证"}
    given["effectiveOn"] = "2025-12-31"

    def some(quantity: int, **more: Any) -> dict[str, Any]:
        return given | {"legs": [used(group.steel, quantity)]} | more

    assert await _told(group, "surrenderAssets", some(1)) == ["SURRENDER_OWES_NOTHING"]
    await group.owe(group.steel, "100.5")
    assert await _told(group, "surrenderAssets", some(100)) == []
    done = await group.manager.do("surrenderAssets", some(7), REMARKED)
    (beyond,) = done["transfer"]["remarks"]
    assert (beyond["code"], beyond["rule"]) == ("SURRENDER_BEYOND_DUE", "HOUSE-SURRENDER")
    assert "101 t are due and 101 t were surrendered; 7 t more go 7 t beyond it" in beyond["message"]
    # Late, but done: the deadline is a rule that must be kept, and what is owed is owed still.
    await group.owe(group.steel, "200")
    late = some(5, effectiveOn="2026-01-02")
    done = await group.manager.do("surrenderAssets", late, REMARKED)
    (remark,) = done["transfer"]["remarks"]
    assert (remark["code"], remark["rule"]) == ("SURRENDER_LATE", "CN-SURRENDER-2024")
    assert "2026-01-02 is 2 days late" in remark["message"]
    assert await _told(group, "surrenderAssets", late | {"evidence": " "}) == ["SURRENDER_LATE", "NO_EVIDENCE"]
    # A year inside a period that is named by a later one.
    period = {"organisationId": group.steel, "fromYear": 2022, "toYear": 2023, "tonnes": "50"}
    await group.manager.do("setObligation", period, "obligation { id }")
    inside = given | {"legs": [used(group.steel, 1, "2023")], "forYear": 2022, "effectiveOn": "2024-12-01"}
    assert await _told(group, "surrenderAssets", inside) == ["SURRENDER_NAMES_PERIOD"]
    assert await _told(group, "surrenderAssets", inside | {"forYear": 2023}) == []


async def test_a_year_that_has_not_begun_is_remarked(group: Group) -> None:
    await group.issue(a_lot(group.steel))
    ahead = retired(group.steel, used(group.steel, 1), year=2025, evidence="注销证明")
    assert await _told(group, "retireAssets", ahead | {"effectiveOn": "2024-12-31"}) == ["YEAR_TO_COME"]
    assert await _told(group, "retireAssets", ahead | {"effectiveOn": "2025-01-01"}) == []


async def test_allowances_without_a_vintage_are_remarked(group: Group) -> None:
    """They can be held and sold, and are found out only when a surrender is due."""
    bare: dict[str, Any] = {"evidence": "配发通知"}
    rows = [a_lot(group.steel, "1", vintage=None, **bare), a_lot(group.steel, "2", **bare)]
    rows.append(a_credit(group.steel, "3", vintage=None, **bare))
    rows.append(a_lot(group.steel, "4", vintage=None, scheme="EUA", **bare))
    done = await group.manager.do(
        "issueLots", {"lots": rows}, "results { error { code } remarks { code rule message } }"
    )
    told = [[r["code"] for r in row["remarks"]] for row in done["results"]]
    assert told == [["NO_VINTAGE"], [], [], []], "the EU's years of vintages are over"
    assert "for 2025 and later the market CN takes" in done["results"][0]["remarks"][0]["message"]
    listed = "{ assetTransfers(kind: ISSUE) { nodes { remarks { code } } } }"
    kept = [r["code"] for n in (await group.manager.ask(listed))["assetTransfers"]["nodes"] for r in n["remarks"]]
    assert kept == ["NO_VINTAGE"], "with the transfer, as other remarks"


async def test_two_at_once_are_not_both_within_what_is_due(group: Group) -> None:
    await group.issue(a_lot(group.steel))
    await group.owe(group.steel, "70")
    one = {"legs": [used(group.steel, 10)], "beneficiaryId": group.steel, "forYear": 2024, "evidence": "凭证"}
    one["effectiveOn"] = "2025-06-01"
    done = await asyncio.gather(*(group.manager.do("surrenderAssets", one, REMARKED) for _ in range(10)))
    said = [r["code"] for d in done for r in d["transfer"]["remarks"]]
    assert said == ["SURRENDER_BEYOND_DUE"] * 3
    rows = {"transfers": [one | {"kind": "SURRENDER"}] * 2, "allOrNothing": True}
    listed = await group.manager.do("postTransfers", rows, "results { transfer { remarks { code } } }")
    assert [len(r["transfer"]["remarks"]) for r in listed["results"]] == [1, 1]


async def test_a_retirement_says_what_it_is_for(group: Group) -> None:
    await group.issue(a_lot(group.steel))
    sound = retired(group.steel, used(group.steel, 1))
    for purpose in ("", " 　"):
        refused = await group.manager.attempt("retireAssets", sound | {"purpose": purpose}, POSTED)
        assert [(e["code"], e["path"]) for e in refused["errors"]] == [("PURPOSE_NEEDED", ["purpose"])]
        assert "8.4.1" in refused["errors"][0]["message"]
    reserved = {"aim": "PENDING", "kind": "RETIRE", **sound, "purpose": ""}
    refused = await group.manager.attempt("reserveAssets", reserved, "reservation { id }")
    assert [e["code"] for e in refused["errors"]] == ["PURPOSE_NEEDED"]
    rows = {"transfers": [{"kind": "RETIRE", **sound, "purpose": ""}, {"kind": "RETIRE", **sound}]}
    done = await group.manager.do("postTransfers", rows, RESULTS)
    assert done["results"][0]["error"]["path"] == ["transfers", "0", "purpose"]
    assert done["results"][1]["error"] is None
    assert await group.held(group.steel) == {"2024-001": "999"}


async def test_issues_and_uses_without_a_paper_are_remarked(group: Group) -> None:
    remarked = "results { lot { id } remarks { code rule source } error { code } }"
    lots = [a_lot(group.steel, "bare", evidence=" "), a_lot(group.steel), a_lot(group.steel, "bare")]
    rows = (await group.manager.do("issueLots", {"lots": lots}, remarked))["results"]
    expected = {"code": "NO_EVIDENCE", "rule": "T061-9.1.4-EVIDENCE", "source": "T/CIECCPA 061-2023 9.1.4"}
    assert [r["remarks"] for r in rows] == [[expected], [], []]
    listed = "{ assetTransfers(kind: ISSUE) { nodes { evidence remarks { code } } } }"
    nodes = (await group.manager.ask(listed))["assetTransfers"]["nodes"]
    assert sorted((n["evidence"], len(n["remarks"])) for n in nodes) == [("", 1), ("登记证明", 0)]
    legs = {"legs": [used(group.steel, 1)]}
    assert await _told(group, "cancelAssets", legs) == ["NO_EVIDENCE"]
    assert await _told(group, "cancelAssets", legs | {"evidence": "注销证明"}) == []
    assert await _told(group, "retireAssets", retired(group.steel, *legs["legs"], evidence="")) == ["NO_EVIDENCE"]
    assert await _told(group, "transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}) == []
    cancels = {"transfers": [legs | {"kind": "CANCEL"}, legs | {"kind": "CANCEL", "evidence": "x"}]}
    done = await group.manager.do("postTransfers", cancels, "results { transfer { remarks { code } } }")
    assert [len(r["transfer"]["remarks"]) for r in done["results"]] == [1, 0]


async def test_texts_have_an_end(group: Group) -> None:
    await group.issue(a_lot(group.steel))
    leg, most = [used(group.steel, 1)], "文" * 2000
    use = retired(group.steel, *leg, purpose=most, evidence=most)
    assert not (await group.manager.attempt("retireAssets", use, POSTED))["errors"]
    freeze = {"aim": "FREEZE", "legs": leg}
    for verb, given, what in (
        ("retireAssets", use, "purpose"),
        ("surrenderAssets", retired(group.steel, *leg), "evidence"),
        ("cancelAssets", {"legs": leg}, "evidence"),
        ("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, "purpose"),
        ("reserveAssets", freeze, "purpose"),
        ("reserveAssets", freeze, "evidence"),
    ):
        refused = await group.manager.attempt(verb, given | {what: most + "x"})
        assert [(e["code"], e["path"]) for e in refused["errors"]] == [("TEXT_TOO_LONG", [what])], verb
        assert "2001" in refused["errors"][0]["message"]
    (row,) = await group.issue(a_lot(group.steel, "long", evidence=most + "x"))
    assert (row["error"]["code"], row["error"]["path"]) == ("TEXT_TOO_LONG", ["lots", "0", "evidence"])
    serial = {"prefix": "S", "first": "1", "last": "10"}
    await group.issue(a_lot(group.steel, "cut", 10, serial=serial))
    cut = {"lot": {"scheme": "CEA", "issueReference": "cut"}, "parts": [{"first": "3", "last": "4"}]}
    refused = await group.manager.attempt("splitLot", cut | {"evidence": most + "x"}, "transfer { id }")
    assert [e["code"] for e in refused["errors"]] == ["TEXT_TOO_LONG"]


async def test_rules_by_how_they_stand(group: Group) -> None:
    document = """query Q($d: Date, $s: [RuleState!]) { rules(market: "CN", on: $d, states: $s) { code state } }"""

    async def asked(day: str, *states: str) -> dict[str, str]:
        found = (await group.manager.ask(document, d=day, s=list(states) or None))["rules"]
        return {r["code"]: r["state"] for r in found}

    gone = {"CN-CARRY-OVER-2025", "CN-SURRENDER-2023", "CN-SURRENDER-2024"}
    assert not gone & set(await asked("2026-07-01"))
    expired = await asked("2026-07-01", "EXPIRED")
    assert gone <= set(expired)
    assert set(expired.values()) == {"EXPIRED"}
    assert (await asked("2024-01-01", "UPCOMING"))["CN-CARRY-OVER-2025"] == "UPCOMING"
    every = await asked("2026-07-01", "UPCOMING", "IN_FORCE", "EXPIRED")
    assert every == await asked("2026-07-01") | expired | await asked("2026-07-01", "UPCOMING")
    assert len(every) == len(list(rulebook().rules("CN")))


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


async def test_units_of_no_known_market_are_remarked_when_they_are_surrendered(group: Group) -> None:
    """A slip of the pen in a scheme would meet an obligation unseen; whether it does is for the company to know."""
    await group.owe(group.steel, "100")
    await group.issue(a_lot(group.steel, "X", scheme="CEAA"), a_lot(group.steel, "2024"))
    given = {"beneficiaryId": group.steel, "forYear": 2024, "evidence": "凭证", "effectiveOn": "2025-06-01"}
    slip = given | {"legs": [used(group.steel, 10, "X", "CEAA")]}
    assert await _told(group, "surrenderAssets", slip) == ["UNKNOWN_SCHEME"]
    assert await _told(group, "surrenderAssets", given | {"legs": [used(group.steel, 10, "2024")]}) == []
    document = "query Q($o: ID!, $y: Int!) { offsetHeadroom(organisationId: $o, year: $y) { market } }"
    refused = await group.manager.run(document, o=group.steel, y=3000)
    assert refused.errors[0]["extensions"]["code"] == "BAD_YEAR"


async def test_a_reversal_says_why(group: Group) -> None:
    """Without a reason or a paper it stands, and that is remarked; with one of them nothing is."""
    await group.stock(group.steel)
    said = []
    for more in ({}, {"purpose": "录入有误"}, {"evidence": "更正单 3"}):
        sent = await group.manager.do(
            "transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, "transfer { id }"
        )
        given = {"transferId": sent["transfer"]["id"], **more}
        done = await group.manager.do("reverseTransfer", given, REMARKED)
        said.append([(r["code"], r["rule"]) for r in done["transfer"]["remarks"]])
    assert said == [[("NO_REASON", "HOUSE-REVERSAL")], [], []]


async def test_refusals_name_accounts_as_people_do(group: Group) -> None:
    await group.stock(group.steel, 10)
    await group.stock(group.cement, 10, "M")
    short = await group.surrender(group.steel, used(group.steel, 11))
    assert "STEEL 华东钢铁 / HOLDING" in short["errors"][0]["message"]
    sent = await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 9)]}, "transfer { id }")
    await group.manager.do("transferAssets", {"legs": [moved(group.cement, group.head, 9)]}, "transfer { id }")
    gone = await group.manager.attempt("reverseTransfer", {"transferId": sent["transfer"]["id"]}, "transfer { id }")
    assert (gone["errors"][0]["code"], "CEMENT 华东水泥 / HOLDING" in gone["errors"][0]["message"]) == (
        "REVERSAL_NOT_COVERED", True
    )  # fmt: skip
    frozen = {"aim": "FREEZE", "legs": [used(group.cement, 11, "M")]}
    refused = await group.manager.attempt("reserveAssets", frozen, "reservation { id }")
    assert "CEMENT 华东水泥 / HOLDING" in refused["errors"][0]["message"]
