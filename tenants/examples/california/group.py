"""California's record as a group that can be loaded: companies, facilities, declared emissions, lots, surrenders.

Decisions, none of them about a single row:

- A company is a SUBSIDIARY of the programme, a facility a SITE. A facility listed under another company in a later
  period moves to it on the first day of that period; listed under two at once it stays with the first, and is shown.
- Holdings are not published. An allowance lot is therefore issued per company and vintage with what the company
  surrendered of it; allowances cannot be overdrawn here, offsets can: each offset lot is issued once, with its
  published quantity, the buffer contribution is set aside, and every line takes from what is left.
- A compliance period is named by its last year. Obligations are entered as published.
- Where the published lines hold more offsets than 8 % of what was due, or nothing was due, an exception from that limit
  is recorded for the entity and period; everywhere else the limit refuses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from tenants.examples.california.records import Facility, Instrument, Period, Records
from tenants.examples.model import Group, Move, Wanted

PROGRAMME: Final = "CARB"
PROJECTS: Final = "OFFSET-PROJECTS"
BUFFER: Final = "FOREST-BUFFER"
NOTICE: Final = (
    "Public records of the California Air Resources Board (CARB), 2013-2017, attributed; figures as published."
)
BEGIN: Final = "2012-01-01"
OFFSET_LIMIT: Final = ("CARB-OFFSET-8", Decimal("0.08"))


def as_group(records: Records, slug: str) -> Group:
    """Everything in the order it must be loaded."""
    return Group(
        slug=slug,
        name="California cap-and-trade 2013-2017",
        notice=NOTICE,
        organisations=list(_organisations(records)),
        moves=list(moves(records)),
        sources=[_source(arb_id) for arb_id in _reporting(records)],
        declared=[_declared(e.arb_id, e.year, str(e.covered_t)) for e in records.emissions],
        gwp_set="AR4",
        lots=[*_offset_lots(records), *_allowance_lots(records)],
        transfers=[*_buffers(records), *_surrenders(records)],
        obligations=[_obligation(o.entity_id, o.period, o.obligation_t) for o in records.obligations],
        exceptions=list(_exceptions(records)),
        consolidations=[Wanted(PROGRAMME, p.first_year, p.last_year) for p in periods(records)],
    )


def periods(records: Records) -> list[Period]:
    return sorted({o.period for o in records.obligations}, key=lambda p: p.first_year)


def _node(kind: str, code: str, name: str, parent: str | None, **more: Any) -> dict[str, Any]:
    above = {"parentCode": parent} if parent else {}
    return {"kind": kind, "code": code, "nameZh": name, "nameEn": name, "enteredOn": BEGIN, **above, **more}


def _organisations(records: Records) -> Iterator[dict[str, Any]]:
    yield _node("GROUP", PROGRAMME, "California cap-and-trade programme", None)
    yield _node("SUBSIDIARY", PROJECTS, "Offset projects", PROGRAMME)
    yield _node("SUBSIDIARY", BUFFER, "Forest buffer account", PROGRAMME)
    for entity in records.entities.values():
        yield _node("SUBSIDIARY", entity.entity_id, entity.name, PROGRAMME)
    for facility in records.facilities.values():
        stays = homes(facility)
        name = facility.name or facility.arb_id
        yield _node("SITE", site(facility.arb_id), name, stays[0][1] if stays else PROGRAMME, address=facility.city)


def site(arb_id: str) -> str:
    return f"ARB-{arb_id}"


def homes(facility: Facility) -> list[tuple[Period, str]]:
    """Under which company a facility stands in each period; the first where the record lists two."""
    return [(p, facility.entities[p][0]) for p in sorted(facility.entities, key=lambda p: p.first_year)]


def moves(records: Records) -> Iterator[Move]:
    for facility in records.facilities.values():
        stays = homes(facility)
        for (_, before), (period, after) in pairwise(stays):
            if before != after:
                on = f"{period.first_year}-01-01"
                yield Move(site(facility.arb_id), after, on, f"listed under {after} in {period.code}")


def _reporting(records: Records) -> list[str]:
    return list(dict.fromkeys(e.arb_id for e in records.emissions))


def _source(arb_id: str) -> dict[str, Any]:
    name = "Covered emissions as reported"
    kind = {"category": "DIRECT", "directKind": "STATIONARY"}
    return {"organisation": site(arb_id), "code": arb_id, "nameZh": name, "nameEn": name, **kind}


def _declared(arb_id: str, year: int, mass_t: str) -> dict[str, Any]:
    period = {"firstMonth": f"{year}-01", "months": 12}
    source = (site(arb_id), arb_id)
    return {"source": source, **period, "gas": "CO2E", "massT": mass_t, "method": "MEASURED", "evidence": "CARB MRR"}


def _offset_lots(records: Records) -> Iterator[dict[str, Any]]:
    for lot in records.issuances.values():
        yield {
            "assetClass": "CCER",
            "scheme": "CARB-OFFSET",
            "issueReference": lot.issuance_id,
            "quantity": str(lot.issued_t),
            "origin": "ISSUED_CREDIT",
            "issuedTo": PROJECTS,
            "issuedOn": lot.issued_on.isoformat(),
            "vintage": lot.vintage,
            "project": f"{lot.project_id} {lot.project_name}",
        }


@dataclass(frozen=True, slots=True)
class _Allowances:
    entity_id: str
    vintage: int

    @property
    def reference(self) -> str:
        return f"{self.entity_id}-{self.vintage}"


def _allowance_lots(records: Records) -> Iterator[dict[str, Any]]:
    surrendered: Counter[_Allowances] = Counter()
    for line in records.surrenders:
        if line.instrument is Instrument.ALLOWANCE:
            surrendered[_Allowances(line.entity_id, line.vintage)] += line.quantity_t
    for lot, quantity in surrendered.items():
        yield {
            "assetClass": "ALLOWANCE",
            "scheme": "CARB-ALLOWANCE",
            "issueReference": lot.reference,
            "quantity": str(quantity),
            "origin": "AUCTIONED",
            "issuedTo": lot.entity_id,
            "issuedOn": f"{lot.vintage}-01-01",
            "vintage": lot.vintage,
        }


def _buffers(records: Records) -> Iterator[dict[str, Any]]:
    for lot in records.issuances.values():
        if lot.buffer_t:
            leg = {"lot": _offset(lot.issuance_id), "quantity": lot.buffer_t, "source": PROJECTS, "destination": BUFFER}
            yield {"kind": "TRANSFER", "legs": [leg], "purpose": "buffer contribution", "name": lot.issuance_id}


def _surrenders(records: Records) -> Iterator[dict[str, Any]]:
    for line in records.surrenders:
        if line.instrument is Instrument.ALLOWANCE:
            reference = _Allowances(line.entity_id, line.vintage).reference
            lot = {"scheme": "CARB-ALLOWANCE", "issueReference": reference}
            source = line.entity_id
        else:
            lot, source = _offset(line.issuance_id or ""), PROJECTS
        yield {
            "kind": "SURRENDER",
            "legs": [{"lot": lot, "quantity": line.quantity_t, "source": source}],
            "beneficiary": line.entity_id,
            "forYear": line.period.last_year,
            "purpose": line.period.code,
            "name": f"surrender_lines line {line.line} ({line.entity_id} {line.issuance_id or line.vintage})",
        }


def _offset(issuance_id: str) -> dict[str, str]:
    return {"scheme": "CARB-OFFSET", "issueReference": issuance_id}


def _obligation(entity_id: str, period: Period, tonnes: int) -> dict[str, Any]:
    years = {"fromYear": period.first_year, "toYear": period.last_year}
    return {
        "organisation": entity_id,
        **years,
        "tonnes": str(tonnes),
        "source": f"CARB compliance report {period.code}",
    }


def _exceptions(records: Records) -> Iterator[dict[str, Any]]:
    rule, share = OFFSET_LIMIT
    used: Counter[tuple[str, Period]] = Counter()
    for line in records.surrenders:
        if line.instrument is not Instrument.ALLOWANCE:
            used[line.entity_id, line.period] += line.quantity_t
    due = {(o.entity_id, o.period): o.obligation_t for o in records.obligations}
    for (entity_id, period), offsets_t in used.items():
        owed_t = due.get((entity_id, period), 0)
        if offsets_t > owed_t * share:
            reason = f"the public record has {offsets_t} t of offsets for {owed_t} t due"
            told = {"reason": reason, "evidence": f"CARB compliance report {period.code}"}
            yield {"organisation": entity_id, "year": period.last_year, "rule": rule, **told}
