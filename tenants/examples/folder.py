"""Reads a group from a folder: `manifest.toml` and CSV files (UTF-8, with or without BOM), one per kind of row.

| file | columns |
|---|---|
| organisations.csv | kind, code, name_zh, name_en, credit_code, parent, entered_on, equity_share, operational_control, financial_control, division_code, industry_code, founded_on, address, business, capacity |
| boundary.csv | organisation, key, value, valid_from, reason |
| sources.csv | organisation, code, name_zh, name_en, category, direct_kind |
| streams.csv | source, code, material, flow, region, programme |
| activity.csv | source, stream, month, quantity, unit, evidence |
| declared.csv | source, first_month, months, gas, mass_t, method, evidence, note |
| lots.csv | asset_class, scheme, issue_reference, vintage, project, quantity, origin, issued_to, issued_on, evidence |
| transfers.csv | kind, scheme, issue_reference, quantity, source, destination, beneficiary, for_year, purpose, evidence |
| obligations.csv | organisation, from_year, to_year, tonnes, source |

An empty cell is a value left out. Sources are named by their code, which must be unique in the folder.
"""  # noqa: E501 - the columns stand in one line each

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from backend.kit.errors import CodedError, invalid
from tenants.examples.model import Group, Wanted

BAD_FOLDER = invalid(
    "BAD_GROUP_FOLDER",
    en="{file}, line {line}: {problem}.",
    zh="{file} 第 {line} 行：{problem_zh}。",
)
BOUNDARY_FIELDS: Final = {
    "CONSOLIDATION_APPROACH": ("consolidationApproach", str),
    "GWP_SET": ("gwpSet", str),
    "BASE_YEAR": ("baseYear", int),
    "FACTOR_SET": ("factorSet", str),
    "ALLOWANCE_POLICY": ("allowancePolicy", str),
}
Cells = dict[str, str]


def read_folder(folder: Path) -> Group:
    """The group in a folder. Errors: BAD_GROUP_FOLDER with file and line; FileNotFoundError without a manifest."""
    manifest = tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))
    tables = {p.stem: _rows(p) for p in sorted(folder.glob("*.csv"))}
    sources = _sources(folder, tables.get("sources", []), tables.get("streams", []))
    owner = {row["code"]: row["organisation"] for row in sources}
    return Group(
        slug=manifest["slug"],
        name=manifest["name"],
        notice=manifest["notice"],
        gwp_set=manifest.get("gwp_set", "AR5"),
        organisations=[_organisation(row) for row in tables.get("organisations", [])],
        boundaries=[_boundary(folder, i, row) for i, row in enumerate(tables.get("boundary", []))],
        sources=sources,
        activity=[_owned(_camel(row), owner) for row in tables.get("activity", [])],
        declared=[_declared(row, owner) for row in tables.get("declared", [])],
        lots=[_lot(row) for row in tables.get("lots", [])],
        transfers=[_transfer(i, row) for i, row in enumerate(tables.get("transfers", []))],
        obligations=[_obligation(row) for row in tables.get("obligations", [])],
        consolidations=[Wanted(**wanted) for wanted in manifest.get("consolidation", [])],
    )


def _rows(path: Path) -> list[Cells]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        found = []
        for row in reader:
            if None in row or None in row.values():
                problem, problem_zh = "it has not as many cells as the header", "单元格数与表头不符"
                raise BAD_FOLDER(file=path.name, line=reader.line_num, problem=problem, problem_zh=problem_zh)
            found.append({key.strip(): value.strip() for key, value in row.items() if value.strip()})
    return found


def _bad_row(file: str, index: int, problem: str, problem_zh: str) -> CodedError:
    """BAD_GROUP_FOLDER for the row counted from 0 below the header."""
    return BAD_FOLDER(file=file, line=index + 2, problem=problem, problem_zh=problem_zh)


def _camel(row: Mapping[str, str]) -> dict[str, Any]:
    def name(key: str) -> str:
        head, *rest = key.split("_")
        return head + "".join(part.title() for part in rest)

    return {name(key): value for key, value in row.items()}


def _organisation(row: Cells) -> dict[str, Any]:
    found = _camel(row)
    if "parent" in found:
        found["parentCode"] = found.pop("parent")
    for key in ("operationalControl", "financialControl"):
        if key in found:
            found[key] = found[key] == "true"
    return found


def _boundary(folder: Path, index: int, row: Cells) -> dict[str, Any]:
    if row["key"] not in BOUNDARY_FIELDS:
        keys = ", ".join(BOUNDARY_FIELDS)
        problem, problem_zh = f"the key must be one of {keys}", f"key 须为 {keys} 之一"
        raise _bad_row(f"{folder.name}/boundary.csv", index, problem, problem_zh)
    field, kind = BOUNDARY_FIELDS[row["key"]]
    return {
        "organisation": row["organisation"],
        "value": {field: kind(row["value"])},
        "validFrom": row["valid_from"],
        "reason": row.get("reason", ""),
    }


def _sources(folder: Path, rows: list[Cells], streams: list[Cells]) -> list[dict[str, Any]]:
    found = {row["code"]: _camel(row) | {"streams": []} for row in rows}
    for index, stream in enumerate(streams):
        if stream["source"] not in found:
            source = stream["source"]
            problem, problem_zh = f"there is no source {source} in sources.csv", f"sources.csv 中没有排放源 {source}"
            raise _bad_row(f"{folder.name}/streams.csv", index, problem, problem_zh)
        found[stream["source"]]["streams"].append({k: v for k, v in _camel(stream).items() if k != "source"})
    return list(found.values())


def _owned(row: dict[str, Any], owner: Mapping[str, str]) -> dict[str, Any]:
    return row | {"source": (owner[row["source"]], row["source"])}


def _declared(row: Cells, owner: Mapping[str, str]) -> dict[str, Any]:
    return _owned(_camel(row), owner) | {"months": int(row.get("months", "1"))}


def _lot(row: Cells) -> dict[str, Any]:
    found = _camel(row)
    return found | ({"vintage": int(found["vintage"])} if "vintage" in found else {})


def _transfer(index: int, row: Cells) -> dict[str, Any]:
    leg = {
        "lot": {"scheme": row["scheme"], "issueReference": row["issue_reference"]},
        "quantity": row["quantity"],
        "source": row["source"],
        "destination": row.get("destination"),
    }
    found = {key: row[key] for key in ("kind", "beneficiary", "purpose", "evidence") if key in row}
    year = {"forYear": int(row["for_year"])} if "for_year" in row else {}
    return found | year | {"legs": [leg], "name": f"transfers.csv line {index + 2}"}


def _obligation(row: Cells) -> dict[str, Any]:
    return _camel(row) | {"fromYear": int(row["from_year"]), "toYear": int(row["to_year"])}
