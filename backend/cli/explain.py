"""`tanheng explain`: what a total is made of, printed as a tree, by the public API."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.tree import Tree

from backend.cli.common import console
from backend.cli.files import LOCAL, Language, Organisation, Token, Url, client, organisation_id
from tenants.examples.api import Api

PAGE: Final = 50
# Of these, what a quantity or a mean was put together from stands below them.
_MADE_OF: Final = {"STOCK_ROW", "METER_MONTH", "STACK_MONTH", "QUALITY_MEAN"}
Node = dict[str, Any]


def register(app: typer.Typer) -> None:
    app.command()(explain)


def explain(
    organisation: Organisation,
    year: Annotated[int, typer.Option(help="Calendar year.")],
    source: Annotated[str, typer.Argument(help="Code of an emission source; the organisation's total without.")] = "",
    category: Annotated[str | None, typer.Option(help="Only this category, such as DIRECT.")] = None,
    depth: Annotated[int | None, typer.Option(help="Levels to open: 2 for a total, all of a source.", min=0)] = None,
    url: Url = LOCAL,
    token: Token = "",
    language: Language = "en",
) -> None:
    """Show where a total of a year comes from: organisations, sources, months, records with evidence, factors."""
    api = client(url, token, language)
    owner = organisation_id(api, organisation)
    if source:
        subject: Node = {"source": {"sourceId": _source(api, owner, source), "year": year}}
    else:
        subject = {"total": {"organisationId": owner, "year": year, "category": category}}
    levels = depth if depth is not None else (2 if not source else 3)
    top = api.run("Explain", {"subject": subject, "first": PAGE})
    tree = Tree(_line(top))
    shown: set[str] = set()
    _grounds(api, tree, top, shown)
    _open(api, tree, top, levels, shown)
    console.print(tree)


def _open(api: Api, tree: Tree, node: Node, levels: int, shown: set[str]) -> None:
    """The children of a node below it, so many levels deep."""
    if levels == 0:
        return
    for child in _children(api, node):
        branch = tree.add(_line(child))
        _grounds(api, branch, child, shown)
        if child["kind"] in {"TOTAL", "OWN", "SOURCE", "STREAM_MONTH"}:
            _open(api, branch, child, levels - 1, shown)


def _children(api: Api, node: Node) -> Iterator[Node]:
    after = None
    while True:
        found = api.run("Explain", {"subject": {"node": node["id"]}, "first": PAGE, "after": after})
        page = found["children"]
        if page is None:
            return
        yield from page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def _grounds(api: Api, tree: Tree, node: Node, shown: set[str]) -> None:
    """What a node rests on; the coefficient that many months share is derived once."""
    for ground in node.get("grounds", ()):
        known = ground["kind"] == "COEFFICIENT" and ground["id"] in shown
        shown.add(ground["id"])
        branch = tree.add(f"[dim]{_line(ground)}[/]")
        if not known:
            _grounds(api, branch, ground, shown)
        if ground["kind"] in _MADE_OF:
            _open(api, branch, ground, 1, shown)


def _line(node: Node) -> str:
    parts = [escape(node["label"])]
    if node["value"] is not None:
        parts.append(f"[bold]{Decimal(node['value']):,f}[/] {escape(node['unit'])}")
    if node["share"] is not None:
        parts.append(f"({Decimal(node['share']):.1%})")
    if node["detail"]:
        parts.append(f"— {escape(node['detail'])}")
    return " ".join(parts)


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
