"""`tanheng import`: activity from a file, by the public API."""

from __future__ import annotations

import hashlib
import mimetypes
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.progress import Progress

from backend.cli.common import console
from tenants.examples.api import Api, ApiError

Url = Annotated[str, typer.Option(help="Address of a running server.")]
Token = Annotated[str, typer.Option(envvar="TANHENG_TOKEN", help="Access token (`tanheng token --tenant …`).")]
Organisation = Annotated[str, typer.Option(help="Code of the organisation; what lies below it belongs to it.")]
Language = Annotated[str, typer.Option(help="zh-CN or en: what is wrong with a row, and what figures are called.")]
LOCAL = "http://127.0.0.1:8000"


def register(app: typer.Typer) -> None:
    app.command(name="import")(import_file)


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV (UTF-8 or GB18030) or XLSX.", exists=True, dir_okay=False)],
    organisation: Organisation,
    url: Url = LOCAL,
    token: Token = "",
    sheet: Annotated[str | None, typer.Option(help="Sheet of a workbook; the first by default.")] = None,
    all_or_nothing: Annotated[bool, typer.Option(help="Store nothing when any row is refused.")] = False,
    language: Language = "en",
) -> None:
    """Upload a file of activity data, import it in the background, and show what became of its rows.

    Exit code 1 when a row was refused or the file could not be read.
    """
    api = client(url, token, language)
    owner = organisation_id(api, organisation)
    document = _upload(api, owner, file)
    mode = "ALL_OR_NOTHING" if all_or_nothing else "PARTIAL"
    asked = {"organisationId": owner, "documentId": document, "mode": mode, "sheet": sheet}
    payload = api.change("ImportActivity", asked)
    made = payload["activityImport"]
    if payload["replayed"]:
        console.print(f"This file was imported here before, on {made['createdAt'][:10]}; what came of it then:")
    found = _follow(api, made["id"])
    if found["problem"]:
        console.print(f"[red]{found['problem']['code']}[/] {found['problem']['message']}")
        raise typer.Exit(1)
    there = f", {found['present']} there already" if found["present"] else ""
    console.print(f"{found['rows']} rows: {found['stored']} stored{there}, {found['refused']} refused.")
    for row in found["refusals"]["nodes"]:
        told = f"{row['code']} {row['message']}"
        console.print(f"  row {row['row']}, {row['column']} '{row['written']}': {told}", markup=False)
    if found["state"] == "REFUSED":
        console.print("Nothing was stored: all or nothing was asked, and rows were refused.")
    if found["errorFile"]:
        holds = "every row, the refused ones marked" if found["state"] == "REFUSED" else "the refused rows"
        console.print(f"Correct and send again: {found['errorFile']['fileName']} ({holds})", markup=False)
        console.print(found["errorFile"]["download"]["url"], markup=False, soft_wrap=True)
    if found["refused"]:
        raise typer.Exit(1)


def client(url: str, token: str, language: str = "en") -> Api:
    """The API, by the token that was given. Ends the program when there is none."""
    if not token:
        console.print("An access token is needed: --token, or TANHENG_TOKEN. `tanheng token --tenant …` makes one.")
        raise typer.Exit(2)
    return Api(url, token, language)


def organisation_id(api: Api, code: str) -> str:
    nodes = api.run("FindOrganisation", {"code": code})["nodes"]
    for node in nodes:
        if node["code"] == code:
            return str(node["id"])
    known = ", ".join(n["code"] for n in nodes) or "none like it"
    console.print(f"There is no organisation '{code}' that you may see; there is: {known}.", markup=False)
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
