"""`tanheng import` and `tanheng explain`: activity from a file, and what a total is made of, by the public API."""

from __future__ import annotations

import hashlib
import mimetypes
import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.progress import Progress
from rich.tree import Tree

from backend.cli.common import console
from tenants.examples.api import Api, ApiError

Url = Annotated[str, typer.Option(help="Address of a running server.")]
Token = Annotated[str, typer.Option(envvar="TANHENG_TOKEN", help="Access token (`tanheng token --tenant …`).")]
Organisation = Annotated[str, typer.Option(help="Code of the organisation; what lies below it belongs to it.")]
LOCAL = "http://127.0.0.1:8000"


def register(app: typer.Typer) -> None:
    app.command(name="import")(import_file)
    app.command()(explain)


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV (UTF-8 or GB18030) or XLSX.", exists=True, dir_okay=False)],
    organisation: Organisation,
    url: Url = LOCAL,
    token: Token = "",
    sheet: Annotated[str | None, typer.Option(help="Sheet of a workbook; the first by default.")] = None,
    all_or_nothing: Annotated[bool, typer.Option(help="Store nothing when any row is refused.")] = False,
) -> None:
    """Upload a file of activity data, import it in the background, and show what became of its rows.

    Exit code 1 when a row was refused or the file could not be read.
    """
    api = _api(url, token)
    owner = _organisation(api, organisation)
    document = _upload(api, owner, file)
    mode = "ALL_OR_NOTHING" if all_or_nothing else "PARTIAL"
    asked = {"organisationId": owner, "documentId": document, "mode": mode, "sheet": sheet}
    made = api.change("ImportActivity", asked)["activityImport"]
    found = _follow(api, made["id"])
    if found["problem"]:
        console.print(f"[red]{found['problem']['code']}[/] {found['problem']['message']}")
        raise typer.Exit(1)
    console.print(f"{found['rows']} rows: {found['stored']} stored, {found['refused']} refused.")
    for row in found["refusals"]["nodes"]:
        told = f"{row['code']} {row['message']}"
        console.print(f"  row {row['row']}, {row['column']} '{row['written']}': {told}", markup=False)
    if found["errorFile"]:
        console.print(f"Correct and send again: {found['errorFile']['fileName']}", markup=False)
        console.print(found["errorFile"]["download"]["url"], markup=False, soft_wrap=True)
    if found["refused"]:
        raise typer.Exit(1)


def explain(
    source: Annotated[str, typer.Argument(help="Code of an emission source.")],
    organisation: Organisation,
    year: Annotated[int, typer.Option(help="Calendar year.")],
    url: Url = LOCAL,
    token: Token = "",
) -> None:
    """Show where a source's total of a year comes from: months, records with evidence, coefficients, factors."""
    api = _api(url, token)
    key = _source(api, _organisation(api, organisation), source)
    wanted = {"sourceId": key, "fromMonth": f"{year}-01", "toMonth": f"{year}-12"}
    found = api.data("ExplainSource", {"id": key, "year": year, "filter": wanted})
    console.print(_tree(found["node"], found["activityRecords"]["nodes"], year))


def _api(url: str, token: str) -> Api:
    if not token:
        console.print("An access token is needed: --token, or TANHENG_TOKEN. `tanheng token --tenant …` makes one.")
        raise typer.Exit(2)
    return Api(url, token)


def _organisation(api: Api, code: str) -> str:
    nodes = api.run("FindOrganisation", {"code": code})["nodes"]
    for node in nodes:
        if node["code"] == code:
            return str(node["id"])
    known = ", ".join(n["code"] for n in nodes) or "none like it"
    console.print(f"There is no organisation '{code}' that you may see; there is: {known}.", markup=False)
    raise typer.Exit(1)


def _source(api: Api, organisation: str, code: str) -> str:
    after, known = None, []
    while True:
        page = api.run("FindSources", {"organisationId": organisation, "after": after})
        for node in page["nodes"]:
            if node["code"] == code:
                return str(node["id"])
            known.append(node["code"])
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    console.print(f"There is no source '{code}'; there are: {', '.join(known[:20]) or 'none'}.", markup=False)
    raise typer.Exit(1)


def _upload(api: Api, owner: str, file: Path) -> str:
    content = file.read_bytes()
    announced = {
        "organisationId": owner,
        "fileName": file.name,
        "mediaType": mimetypes.guess_type(file.name)[0] or "application/octet-stream",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    made = api.change("CreateEvidenceUpload", announced)
    upload = made["upload"]
    headers = {h["name"]: h["value"] for h in upload["headers"]}
    answer = httpx.request(upload["method"], upload["url"], content=content, headers=headers, timeout=300)
    if answer.is_error:
        message = f"the upload was refused: {answer.status_code} {answer.text[:200]}"
        raise ApiError(message)
    api.change("CompleteEvidenceUpload", {"id": made["document"]["id"]})
    return str(made["document"]["id"])


def _follow(api: Api, key: str) -> dict[str, Any]:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("waiting", total=None)
        while True:
            found: dict[str, Any] = api.run("FollowImport", {"id": key})
            if found["state"] != "QUEUED":
                return found
            job = found["job"] or {}
            if job.get("state") == "FAILED":
                message = f"the import failed: {job['errorMessage']}"
                raise ApiError(message)
            step = job.get("progress") or {"note": "waiting", "done": 0, "total": None}
            progress.update(task, description=step["note"] or "waiting", completed=step["done"], total=step["total"])
            time.sleep(0.3)


def _tree(source: dict[str, Any], records: list[dict[str, Any]], year: int) -> Tree:
    results = source["monthlyResults"]
    total = sum((Decimal(r["co2eT"]) for r in results), Decimal(0))
    where = source["organisation"]["nameZh"] if source["organisation"] else "-"
    tree = Tree(f"{source['code']} {source['nameZh']} ({where}) {year}: {total:,} tCO2e")
    for stream in source["streams"]:
        coefficient = stream["coefficient"]
        if coefficient is None:
            continue
        name = stream["material"] or stream["code"]
        how = tree.add(f"× {coefficient['value'].rstrip('0')} {coefficient['unit']} ({stream['code']}: {name})")
        for step in coefficient["steps"]:
            factor = step["factor"]
            told = f"{step['label']} = {step['written']} {step['unit']}"
            if factor:
                told += f" — {factor['code']} {factor['year'] or ''} {factor['provenance']}: {factor['source']}"
            how.add(told)
    for result in results:
        months = "" if result["months"] == 1 else f" +{result['months'] - 1}"
        told = (
            f"{result['firstMonth']}{months} {result['gas']}: {Decimal(result['co2eT']):,} tCO2e ({result['origin']})"
        )
        branch = tree.add(told)
        for record in records:
            if record["month"] == result["firstMonth"] and result["origin"] == "ACTIVITY":
                branch.add(_record(record))
    return tree


def _record(record: dict[str, Any]) -> str:
    proof = [record["evidence"], *(d["fileName"] for d in record["documents"])]
    shown = ", ".join(p for p in proof if p) or "no evidence"
    stream = record["stream"]["code"] if record["stream"] else "-"
    entered = f"{record['enteredQuantity']} {record['enteredUnit']}"
    kept = f"{record['quantity']} {record['unit']}"
    return f"{stream}: {entered}" + (f" = {kept}" if kept != entered else "") + f" — {shown}"
