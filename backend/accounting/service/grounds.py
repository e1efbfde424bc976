"""What the nodes of an explanation rest on: coefficients, steps, factors, evidence, inventories and who signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from backend.accounting.domain.chinese import in_chinese
from backend.accounting.domain.derivation import Step
from backend.accounting.domain.explain import NO_WORDS, Explained, ExplainKind, Words, ground, named
from backend.accounting.domain.factors import Factor, Parameter, Provenance
from backend.accounting.domain.inventories import Inventory, InventoryState
from backend.accounting.domain.library_words import remark
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.registry import METHODS
from backend.accounting.domain.monitoring import Frequency
from backend.accounting.domain.records import Method
from backend.accounting.repository import explain as rows
from backend.accounting.repository import factors as factor_rows
from backend.accounting.repository import inventories as inventory_rows
from backend.accounting.service import made_of
from backend.accounting.service.explain import Seen
from backend.evidence.domain import Document
from backend.evidence.service import DocumentService
from backend.kit.database import ReadSession
from backend.kit.quantity import trimmed
from backend.kit.toolbox import Toolbox
from tenants.access import Principal
from tenants.service.members import MemberService

Grounds = dict[int, list[Explained]]
# What documents are attached to, by the kind of node that shows it.
_PROVEN: Final = {
    ExplainKind.SOURCE: "EmissionSource",
    ExplainKind.STREAM_MONTH: "EmissionStream",
    ExplainKind.RECORD: "ActivityRecord",
    ExplainKind.DECLARED_RESULT: "DeclaredResult",
    ExplainKind.INVENTORY: "Inventory",
    ExplainKind.PARAMETER: "PlanParameter",
    ExplainKind.COEFFICIENT: "StreamBasis",
    ExplainKind.INSTRUMENT: "Instrument",
    ExplainKind.STOCK_ROW: "StockRow",
    ExplainKind.METER_MONTH: "MeterMonth",
    ExplainKind.METER_READING: "MeterReading",
    ExplainKind.STACK_MONTH: "StackMonth",
    ExplainKind.MATERIAL_BATCH: "MaterialBatch",
}


class GroundService:
    """What totals rest on, for those who may see records."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def grounds(self, principal: Principal, parents: Sequence[Explained]) -> list[list[Explained]]:
        """For each node what it rests on; nothing where the caller may not see records."""
        found: Grounds = {}
        async with self.toolbox.database.read(principal.tenant_id) as session:
            seen = await Seen.of(session, principal, (p.organisation_id for p in parents))
            open_ = {i: p for i, p in enumerate(parents) if p.organisation_id in seen.details}
            await _coefficients(session, open_, found)
            _steps(open_, found)
            await _parameters(session, open_, found)
            await _factors(session, open_, found)
            await _inventories(session, open_, found)
            for more in (made_of.causes, made_of.means_behind, made_of.details):
                await more(session, open_, found)
            events = await _events(session, open_)
        await self._signatures(principal, open_, events, found)
        _references(open_, found)
        await self._documents(principal, open_, found)
        return [found.get(i, []) for i in range(len(parents))]

    async def _signatures(
        self, principal: Principal, nodes: dict[int, Explained], events: dict[UUID, list[Any]], found: Grounds
    ) -> None:
        """Who took which step; named for those who may see members."""
        who = [e.member_id for some in events.values() for e in some]
        members = await MemberService(self.toolbox).by_ids(principal, who) if who else {}
        for place, node in nodes.items():
            for event in events.get(node.subject_id, []) if node.kind is ExplainKind.INVENTORY else ():
                member = members.get(event.member_id)
                by = Words(member.display_name, member.display_name) if member else Words("一名成员", "a member")
                at = f"{event.at:%Y-%m-%d %H:%M}Z"
                said = f"{at} {event.note}".strip()
                label = Words(f"{in_chinese(InventoryState, event.state)} {by.zh}", f"{event.state} {by.en}")
                told = ground(node, ExplainKind.SIGNATURE, event.member_id, label, Words(said, said), path=(event.n,))
                found.setdefault(place, []).append(told)

    async def _documents(self, principal: Principal, nodes: dict[int, Explained], found: Grounds) -> None:
        for kind, subject in _PROVEN.items():
            # A coefficient is proven by what was given for it.
            places = {i: _proven_by(n) for i, n in nodes.items() if n.kind is kind}
            if not places:
                continue
            attached = await DocumentService(self.toolbox).attached_to(principal, subject, list(places.values()))
            for place, key in places.items():
                found.setdefault(place, []).extend(_document(nodes[place], d) for d in attached.get(key, []))


async def _coefficients(session: ReadSession, nodes: dict[int, Explained], found: Grounds) -> None:
    wanted = {i: n.coefficient_id for i, n in nodes.items() if n.coefficient_id}
    if not wanted:
        return
    known = await rows.coefficients(session, list(set(wanted.values())))
    for place, key in wanted.items():
        made, row = known[key]
        period = f"{row.first_month:%Y-%m} … {row.last_month:%Y-%m}"
        how = f"{row.method} / {row.kind}"
        how_zh = f"{in_chinese(Method, row.method)}／{METHODS[MethodKind(row.kind)].name_zh}"
        why_zh, why = (f"，{row.reason}", f", {row.reason}") if row.reason else ("", "")
        detail = Words(f"{how_zh}，{row.gwp_set}，{period}{why_zh}", f"{how}, {row.gwp_set}, {period}{why}")
        told = ground(nodes[place], ExplainKind.COEFFICIENT, key, Words("排放系数", "Coefficient"), detail)
        told = replace(told, value=trimmed(made.value), unit=made.unit, coefficient=made)
        told = replace(told, basis_id=row.basis_id, written=row.evidence or "")
        found.setdefault(place, []).append(told)


def _steps(nodes: dict[int, Explained], found: Grounds) -> None:
    """The terms of a coefficient; of a term that was worked out, its parts."""
    for place, node in nodes.items():
        steps: Sequence[Step] = ()
        if node.kind is ExplainKind.COEFFICIENT and node.coefficient is not None:
            steps = node.coefficient.steps
        elif node.kind is ExplainKind.STEP and node.step is not None:
            steps = node.step.parts
        if steps:
            found.setdefault(place, []).extend(_step(node, s, n) for n, s in enumerate(steps))


def _step(node: Explained, step: Step, place: int) -> Explained:
    """A term with its symbol, its formula, the ratio it was written as, and where a given value is from."""
    gas = f" ({step.gas})" if step.gas else ""
    label = Words(step.label("zh-CN") + gas, step.label("en") + gas)
    ratio = step.written if "/" in step.written and not step.formula else ""
    read = (step.source, remark(step.source))
    en, zh = (" ".join(x for x in (step.symbol, step.formula and f"= {step.formula}", ratio, s) if x) for s in read)
    told = ground(node, ExplainKind.STEP, node.subject_id, label, Words(zh, en), step=step)
    told = replace(told, path=(*node.path, place))
    return replace(told, value=step.shown, unit=step.unit, factor_id=step.factor_id)


async def _parameters(session: ReadSession, nodes: dict[int, Explained], found: Grounds) -> None:
    streams = {i: n.subject_id for i, n in nodes.items() if n.kind is ExplainKind.STREAM_MONTH and not n.frame.frozen}
    if not streams:
        return
    watched: dict[UUID, list[Row[Any]]] = {}
    for row in await rows.parameters_of(session, list(set(streams.values()))):
        watched.setdefault(row.stream_id, []).append(row)
    for place, key in streams.items():
        for row in watched.get(key, []):
            meter = f"{row.instrument or ''} {row.instrument_type or ''}".strip()
            by = Words(f"{in_chinese(Frequency, row.frequency)} {meter}".strip(), f"{row.frequency} {meter}".strip())
            label = named(row.code, row.name_zh, row.name_en)
            found.setdefault(place, []).append(ground(nodes[place], ExplainKind.PARAMETER, row.id, label, by))


async def _factors(session: ReadSession, nodes: dict[int, Explained], found: Grounds) -> None:
    kinds = {ExplainKind.STEP, ExplainKind.DECLARED_RESULT}
    wanted = {i: n.factor_id for i, n in nodes.items() if n.factor_id and n.kind in kinds}
    if not wanted:
        return
    known = await factor_rows.factors(session, list(set(wanted.values())))
    for place, key in wanted.items():
        if key in known:
            found.setdefault(place, []).append(_factor(nodes[place], known[key]))


def _factor(node: Explained, factor: Factor) -> Explained:
    when = f" {factor.year}" if factor.year else ""
    of = f"{factor.set_code}{when} {factor.region}"
    attested = in_chinese(Provenance, factor.provenance)
    zh = f"{of} [{attested}] {remark(factor.basis)} {remark(factor.source)}"
    en = f"{of} [{factor.provenance}] {factor.basis} {factor.source}"
    label = Words(f"{factor.name_zh} {in_chinese(Parameter, factor.parameter)}", f"{factor.name_en} {factor.parameter}")
    detail = Words(" ".join(zh.split()), " ".join(en.split()))
    told = ground(node, ExplainKind.FACTOR, factor.id, label, detail)
    return replace(told, value=trimmed(factor.value), unit=factor.unit)


async def _inventories(session: ReadSession, nodes: dict[int, Explained], found: Grounds) -> None:
    submitted = {i: n for i, n in nodes.items() if n.kind is ExplainKind.FROZEN}
    if submitted:
        kept = await inventory_rows.inventories(session, [n.subject_id for n in submitted.values()])
        for place, node in submitted.items():
            found.setdefault(place, []).append(_inventory(node, kept[node.subject_id]))
    for frame in {n.frame for n in nodes.values() if n.kind is ExplainKind.OWN}:
        places = {i: n for i, n in nodes.items() if n.kind is ExplainKind.OWN and n.frame == frame}
        owners = [n.organisation_id for n in places.values()]
        known: dict[UUID, list[Row[Any]]] = {}
        for row in await rows.inventories_of(session, frame, owners):
            known.setdefault(row.organisation_id, []).append(row)
        for place, node in places.items():
            found.setdefault(place, []).extend(_inventory(node, row) for row in known.get(node.organisation_id, []))


def _inventory(node: Explained, row: Row[Any] | Inventory) -> Explained:
    period = f"{row.first_month:%Y-%m} ({row.months})"
    label = Words(
        f"排放清单 {period} 第 {row.version} 版 {in_chinese(InventoryState, row.state)}",
        f"inventory {period} version {row.version} {row.state}",
    )
    digest = Words(f"sha256 {row.sha256}", f"sha256 {row.sha256}") if row.sha256 else NO_WORDS
    return ground(node, ExplainKind.INVENTORY, row.id, label, digest)


async def _events(session: ReadSession, nodes: dict[int, Explained]) -> dict[UUID, list[Any]]:
    keys = [n.subject_id for n in nodes.values() if n.kind is ExplainKind.INVENTORY]
    return {key: list(some) for key, some in (await inventory_rows.events(session, keys)).items()} if keys else {}


def _references(nodes: dict[int, Explained], found: Grounds) -> None:
    for place, node in nodes.items():
        if node.written:
            label = Words(node.written, node.written)
            told = ground(node, ExplainKind.EVIDENCE, node.subject_id, label, Words("凭证号", "reference"))
            found.setdefault(place, []).append(told)


def _proven_by(node: Explained) -> UUID:
    return node.basis_id or node.subject_id


def _document(node: Explained, document: Document) -> Explained:
    label = Words(document.file_name, document.file_name)
    digest = Words(f"sha256 {document.sha256}", f"sha256 {document.sha256}")
    return ground(node, ExplainKind.DOCUMENT, document.id, label, digest)
