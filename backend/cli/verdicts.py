"""Consolidation results as tables a manager can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from rich.console import Group
from rich.table import Table

from tenants.examples.api import Api, Refusal, results
from tenants.examples.california.compare import Found, compare
from tenants.examples.california.records import Records

APPROACHES: Final = {
    "OPERATIONAL_CONTROL": "运营控制权 operational control",
    "FINANCIAL_CONTROL": "财务控制权 financial control",
    "EQUITY_SHARE": "股权比例 equity share",
}
NEUTRALITY: Final = {
    "NEUTRAL": "[green]已中和 neutral[/]",
    "NOT_NEUTRAL": "[red]未中和 short[/]",
    "NO_DATA": "无数据 no data",
}
COMPLIANCE: Final = {
    "FULFILLED": "[green]已履约 fulfilled[/]",
    "SHORT": "[red]缺口 short[/]",
    "NO_OBLIGATION": "—",
}


def tonnes(value: str) -> str:
    """Whole tonnes with separators; a display rounding, the API gives every digit."""
    return f"{Decimal(value).quantize(Decimal(1)):,}"


def verdict_table(api: Api, run: Mapping[str, Any]) -> Table:
    years = f"{run['fromYear']}" if run["fromYear"] == run["toYear"] else f"{run['fromYear']}-{run['toYear']}"
    title = f"{run['organisation']['nameZh']} {years}, {APPROACHES[run['approach']]}"
    table = Table(
        title=title,
        title_justify="left",
        caption=f"input {run['inputDigest'][:16]}…  result {run['resultDigest'][:16]}…",
    )
    table.add_column("组织 organisation", no_wrap=True)
    for heading in ("占比 share", "排放 emissions t", "抵销 retired t", "缺口 gap t"):
        table.add_column(heading, justify="right")
    table.add_column("碳中和 neutrality")
    table.add_column("履约 compliance")
    for node in results(api, run["id"]):
        neutrality = node["neutrality"]
        # A site is a place, not a company: its emissions are shown, the verdicts are about who answers for them.
        judged = node["organisation"]["kind"] != "SITE"
        table.add_row(
            "  " * node["depth"] + node["organisation"]["nameZh"],
            f"{Decimal(node['share']):.0%}",
            tonnes(node["consolidatedTotalT"]),
            *(
                (
                    tonnes(neutrality["countedT"]),
                    tonnes(neutrality["gapT"]),
                    NEUTRALITY[neutrality["verdict"]],
                    COMPLIANCE[node["compliance"]["verdict"]],
                )
                if judged
                else ()
            ),
        )
    return table


def compliance_table(records: Records, found: Found, refused: Iterable[Refusal]) -> Group:
    """Ours beside the published status, company by company and period by period; below it what explains differences."""
    comparison = compare(records, found, refused)
    differing = {(d.obligation.entity_id, d.obligation.period) for d in comparison.statuses}
    table = Table(
        title="California: our compliance verdict beside the published one",
        title_justify="left",
        caption=f"{comparison.agreeing} of {comparison.compared} agree with the published status",
    )
    for heading in ("company", "period"):
        table.add_column(heading)
    for heading in ("obligation t", "surrendered t"):
        table.add_column(heading, justify="right")
    for heading in ("ours", "published"):
        table.add_column(heading)
    for due in records.obligations:
        ours = found[due.entity_id, due.period]
        table.add_row(
            due.legal_name,
            due.period.code,
            f"{due.obligation_t:,}",
            tonnes(ours["surrenderedT"]),
            COMPLIANCE[ours["verdict"]],
            due.status.value + (" (1)" if (due.entity_id, due.period) in differing else ""),
        )
    return Group(table, *(f"(1) {difference.line()}" for difference in comparison.statuses))
