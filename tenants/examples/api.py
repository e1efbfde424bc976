"""A client of the public GraphQL API, as any partner would write it: named documents over HTTP with a bearer token."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx

OPERATIONS: Final = Path(__file__).resolve().parents[2] / "schema" / "operations"
_NAME: Final = re.compile(r"^(?:query|mutation) (\w+)", re.MULTILINE)
Progress = Callable[[str, int, int], None]


class ApiError(Exception):
    """The API answered with errors where none were expected."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row the API did not take: which, the code, and what it said."""

    what: str
    row: str
    code: str
    message: str


def silent(_what: str, _done: int, _total: int) -> None:
    """No progress shown."""


class Api:
    """One tenant, one token. Documents come from `schema/operations`."""

    def __init__(self, url: str, token: str, language: str = "en") -> None:
        headers = {"authorization": f"Bearer {token}", "accept-language": language}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=120)

    def run(self, operation: str, variables: Mapping[str, Any]) -> Any:
        """The one root field of a named operation. Errors: ApiError with what the API said."""
        (found,) = self.data(operation, variables).values()
        return found

    def data(self, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """All root fields of a named operation. Errors: ApiError with what the API said."""
        sent = {"query": documents()[operation], "operationName": operation, "variables": variables}
        answer = self._client.post("/graphql", json=sent).json()
        if answer.get("errors"):
            raise ApiError(f"{operation}: {_told(answer['errors'])}")
        found: dict[str, Any] = answer["data"]
        return found

    def change(self, operation: str, change: Mapping[str, Any]) -> Any:
        """A mutation that must succeed as a whole."""
        payload = self.run(operation, {"input": change})
        if payload["errors"]:
            raise ApiError(f"{operation}: {_told(payload['errors'])}")
        return payload

    def close(self) -> None:
        self._client.close()


def _told(errors: Sequence[Mapping[str, Any]]) -> str:
    """Errors of a payload, or of an answer, as people read them: code, message, and what they are about."""
    said = []
    for error in errors:
        code = error.get("code") or error.get("extensions", {}).get("code", "")
        about = ".".join(str(step) for step in error.get("path") or ())
        said.append(f"{code} {error['message']}{f' ({about})' if about else ''}".strip())
    return "; ".join(said)


@dataclass(frozen=True, slots=True)
class Bulk:
    """A mutation over many rows: its operation, the input field that takes the rows, the field that answers them."""

    operation: str
    rows: str
    answers: str
    made: str
    size: int


ORGANISATIONS: Final = Bulk("CreateOrganisations", "organisations", "results", "organisation", 500)
SOURCES: Final = Bulk("CreateEmissionSources", "rows", "outcomes", "source", 1000)
ACTIVITY: Final = Bulk("RecordActivity", "rows", "outcomes", "record", 1000)
DECLARED: Final = Bulk("RecordDeclaredResults", "rows", "outcomes", "result", 1000)
LOTS: Final = Bulk("IssueLots", "lots", "results", "lot", 500)
TRANSFERS: Final = Bulk("PostTransfers", "transfers", "results", "transfer", 500)
OBLIGATIONS: Final = Bulk("SetObligations", "obligations", "results", "obligation", 500)


def send(
    api: Api, bulk: Bulk, rows: Sequence[Mapping[str, Any]], names: Sequence[str], progress: Progress = silent,
    **more: Any,
) -> tuple[list[str | None], list[Refusal]]:  # fmt: skip
    """Send rows in batches under keys that make a repeat harmless; the ids made (None: refused) and the refusals."""
    made: list[str | None] = []
    refused: list[Refusal] = []
    for start in range(0, len(rows), bulk.size):
        batch = rows[start : start + bulk.size]
        payload = api.change(bulk.operation, {bulk.rows: batch, **more})
        for name, answer in zip(names[start:], payload[bulk.answers], strict=False):
            made.append(answer[bulk.made] and answer[bulk.made]["id"])
            errors = answer.get("errors") or ([answer["error"]] if answer.get("error") else [])
            refused += [Refusal(bulk.operation, name, e["code"], e["message"]) for e in errors]
        progress(bulk.operation, start + len(batch), len(rows))
    return made, refused


@cache
def documents() -> dict[str, str]:
    """Every named document of `schema/operations`, each with the fragments of its file."""
    return dict(_documents())


def _documents() -> Iterator[tuple[str, str]]:
    for file in sorted(OPERATIONS.glob("*.graphql")):
        text = file.read_text()
        for name in _NAME.findall(text):
            yield name, text


def wait_for(api: Api, run_id: str, progress: Progress = silent, *, seconds: float = 300) -> Any:
    """Follow a consolidation until it has ended; the run. Errors: ApiError when it failed or took too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run = api.run("FollowConsolidation", {"id": run_id})
        job = run["job"]
        progress("Consolidation", job["progress"]["done"], job["progress"]["total"] or 0)
        if run["state"] == "SUCCEEDED":
            return run
        if run["state"] in {"FAILED", "CANCELLED"}:
            raise ApiError(f"the consolidation ended as {run['state']}: {job}")
        time.sleep(0.1)
    raise ApiError(f"the consolidation took longer than {seconds:.0f} s")


def results(api: Api, run_id: str) -> Iterator[Mapping[str, Any]]:
    """What a finished run found, organisation by organisation in tree order."""
    after: str | None = None
    while True:
        run = api.run("ConsolidationResults", {"id": run_id, "first": 500, "after": after})
        yield from run["nodes"]["nodes"]
        info = run["nodes"]["pageInfo"]
        if not info["hasNextPage"]:
            return
        after = info["endCursor"]
