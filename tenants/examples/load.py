"""Loads a group through the public API: rows that name each other by code become rows that name each other by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tenants.examples import api as door
from tenants.examples.api import Api, ApiError, Bulk, Progress, Refusal, silent
from tenants.examples.model import Group, Row

TRANSFER_FIELDS: Final = ("kind", "forYear", "purpose", "evidence", "effectiveOn")


@dataclass(slots=True)
class Loaded:
    """What came of it: ids by code, and every row that was refused."""

    organisations: dict[str, str] = field(default_factory=dict)
    sources: dict[tuple[str, str], str] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


class Loader:
    """One group on its way into one tenant."""

    def __init__(self, api: Api, group: Group, progress: Progress = silent) -> None:
        self.api, self.group, self.progress = api, group, progress
        self.loaded = Loaded()

    def load(self) -> Loaded:
        self._organisations()
        self._boundaries()
        self._emissions()
        self._assets()
        return self.loaded

    def _organisations(self) -> None:
        rows = self.group.organisations
        made = self._everything(door.ORGANISATIONS, rows, [r["code"] for r in rows])
        self.loaded.organisations = {r["code"]: id_ for r, id_ in zip(rows, made, strict=True)}
        for move in self.group.moves:
            change = {"parentId": self._at(move.parent), "movedOn": move.on, "reason": move.reason}
            self.api.change("MoveOrganisation", {"organisationId": self._at(move.organisation), **change})

    def _boundaries(self) -> None:
        for row in self.group.boundaries:
            change = {key: row[key] for key in ("value", "validFrom", "reason")}
            self.api.change("SetBoundary", {"organisationId": self._at(row["organisation"]), **change})

    def _emissions(self) -> None:
        rows = [_with(row, organisation=("organisationId", self._at)) for row in self.group.sources]
        keys = [(r["organisation"], r["code"]) for r in self.group.sources]
        made = self._everything(door.SOURCES, rows, ["/".join(k) for k in keys])
        self.loaded.sources = dict(zip(keys, made, strict=True))
        for bulk, found, more in (
            (door.ACTIVITY, self.group.activity, {}),
            (door.DECLARED, self.group.declared, {"gwpSet": self.group.gwp_set}),
        ):
            sent = [_with(row, source=("sourceId", self._source)) for row in found]
            self._send(bulk, sent, ["/".join(r["source"]) for r in found], **more)

    def _assets(self) -> None:
        lots = [_with(row, issuedTo=("issuedToId", self._at)) for row in self.group.lots]
        self._send(door.LOTS, lots, [r["issueReference"] for r in lots])
        # What is due comes before what is surrendered: limits on offsets are shares of it.
        due = [_with(row, organisation=("organisationId", self._at)) for row in self.group.obligations]
        self._send(door.OBLIGATIONS, due, [r["organisation"] for r in self.group.obligations])
        self._exceptions()
        transfers = [self._transfer(row) for row in self.group.transfers]
        self._send(door.TRANSFERS, transfers, [r["name"] for r in self.group.transfers])

    def _exceptions(self) -> None:
        """Where the record itself goes beyond a rule, the rule only warns."""
        rows = [_with(row, organisation=("organisationId", self._at)) for row in self.group.exceptions]
        if rows:
            self.api.change("RecordRuleExceptions", {"exceptions": rows})
            self.loaded.counts["RecordRuleExceptions"] = len(rows)

    def _transfer(self, row: Row) -> dict[str, Any]:
        legs = [
            {
                "lot": leg["lot"],
                "quantity": str(leg["quantity"]),
                **{end: self._account(leg[end]) for end in ("source", "destination") if leg.get(end)},
            }
            for leg in row["legs"]
        ]
        sent = {key: row[key] for key in TRANSFER_FIELDS if row.get(key) is not None}
        if row.get("beneficiary"):
            sent["beneficiaryId"] = self._at(row["beneficiary"])
        return sent | {"legs": legs}

    def _account(self, owner: str) -> dict[str, Any]:
        return {"market": True} if owner == "MARKET" else {"organisationId": self._at(owner)}

    def _at(self, code: str) -> str:
        return self.loaded.organisations[code]

    def _source(self, key: tuple[str, str]) -> str:
        return self.loaded.sources[key]

    def _everything(self, bulk: Bulk, rows: Sequence[Row], names: Sequence[str]) -> list[str]:
        """Rows that others will name: none of them may be refused. Errors: ApiError naming those that were."""
        made, refused = door.send(self.api, bulk, rows, names, self.progress)
        if refused:
            said = "; ".join(f"{r.row}: {r.code} {r.message}" for r in refused[:5])
            raise ApiError(f"{bulk.operation} refused {len(refused)} of {len(rows)} rows: {said}")
        self.loaded.counts[bulk.operation] = len(rows)
        return [id_ for id_ in made if id_]

    def _send(self, bulk: Bulk, rows: Sequence[Row], names: Iterable[str], **more: Any) -> list[str | None]:
        made, refused = door.send(self.api, bulk, rows, list(names), self.progress, **more)
        self.loaded.refused += refused
        self.loaded.counts[bulk.operation] = len(rows) - len(refused)
        return made


def load_once(api: Api, group: Group, progress: Progress = silent) -> Loaded:
    """Load the group, unless the tenant holds its organisations already: then only say which they are."""
    present = _organisations(api)
    if all(row["code"] in present for row in group.organisations):
        return Loaded(organisations=present)
    return Loader(api, group, progress).load()


def _organisations(api: Api) -> dict[str, str]:
    """Ids of the organisations of the tenant, by code."""
    found: dict[str, str] = {}
    after: str | None = None
    while True:
        page = api.run("ListOrganisations", {"first": 1000, "after": after})
        found |= {node["code"]: node["id"] for node in page["nodes"]}
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def _with(row: Row, **renamed: tuple[str, Any]) -> dict[str, Any]:
    """The row with references by code turned into references by id."""
    kept = {key: value for key, value in row.items() if key not in renamed}
    return kept | {name: find(row[key]) for key, (name, find) in renamed.items()}


def consolidate(api: Api, loaded: Loaded, group: Group, progress: Progress = silent) -> list[Mapping[str, Any]]:
    """Run the consolidations the group asks for, one after the other; the finished runs."""
    runs = []
    for wanted in group.consolidations:
        change = {
            "organisationId": loaded.organisations[wanted.organisation],
            "fromYear": wanted.from_year,
            "toYear": wanted.to_year,
            "approach": wanted.approach,
        }
        started = api.change("ConsolidateOrganisation", change)
        runs.append(door.wait_for(api, started["run"]["id"], progress))
    return runs
