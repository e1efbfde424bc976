"""GraphQL object types of projects."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import batched
from backend.kit.graphql.nodes import Node, to_id
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, object_type
from backend.ledger.projects import domain, sinks
from backend.ledger.projects.domain import earliest_day, regimes
from backend.ledger.projects.service import ProjectService, Sink
from backend.ledger.rulebook.domain import Level
from tenants.context import Info


@object_type
class ProjectStep:
    """A step of a regime."""

    code: str
    """Code."""
    starts: list[str]
    """States it starts from."""
    leads_to: str
    """State it leads to."""
    documents: list[str]
    """Kinds of documents it needs."""
    names_body: str | None
    """VALIDATOR or VERIFIER, where the step names the body that did it."""
    waits_after: str | None
    """Earlier step after which a notice must have run."""
    working_days: int | None
    """Working days of the notice."""
    text_zh: str
    """What it is, in Chinese."""

    @classmethod
    def of(cls, step: domain.Step) -> ProjectStep:
        wait = step.wait
        return build(
            cls,
            step,
            starts=list(step.starts),
            leads_to=step.to,
            documents=list(step.documents),
            names_body=step.names,
            waits_after=wait and wait.after,
            working_days=wait and wait.working_days,
        )


@object_type
class ProjectRegime:
    """A way to registered reductions."""

    code: str
    """Code."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English."""
    source: str
    """Where it is written."""
    level: Level
    """How far the text can be trusted."""
    begun_after: date
    """Projects that began after this day are taken."""
    reductions_after: date
    """Reductions made after this day can be claimed."""
    claim_within_years: int
    """Years within which a reduction is claimed."""
    steps: list[ProjectStep]
    """Steps of a project."""
    claim_steps: list[ProjectStep]
    """Steps of a claim."""

    @classmethod
    def of(cls, regime: domain.Regime) -> ProjectRegime:
        steps = [ProjectStep.of(s) for s in regime.step]
        return build(cls, regime, steps=steps, claim_steps=[ProjectStep.of(s) for s in regime.claim_step])


@object_type
class Methodology:
    """A methodology by which projects are accounted."""

    code: str
    """Code."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English."""
    regime: str
    """Regime it belongs to."""
    least_years: int
    """Shortest crediting period."""
    most_years: int
    """Longest crediting period."""
    sink: bool
    """Whether it is about a sink."""
    level: Level
    """How far the entry can be trusted."""

    @classmethod
    def of(cls, found: domain.Methodology) -> Methodology:
        return build(cls, found, least_years=found.years[0], most_years=found.years[1])


@object_type
class StepDocument:
    """A document that a step named."""

    kind: str
    """Kind."""
    reference: str
    """Reference."""


@object_type
class ProjectEvent:
    """A step that was taken."""

    claim_number: int
    """Number of the claim; 0 for a step of the project itself."""
    step: str
    """Code of the step."""
    state: str
    """State it led to."""
    happened_on: date
    """Day it happened."""
    documents: list[StepDocument]
    """Its documents."""
    note: str
    """Anything else."""
    recorded_at: datetime | None
    """When it was recorded."""

    @classmethod
    def of(cls, event: domain.Event) -> ProjectEvent:
        named = [StepDocument(kind=k, reference=r) for k, r in event.documents.items()]
        return build(cls, event, documents=named)


@object_type
class NextStep:
    """A step that is possible now."""

    code: str
    """Code."""
    documents: list[str]
    """Kinds of documents it needs."""
    earliest: date | None
    """From when on it may be taken; null when no notice runs."""


@object_type
class SinkStand:
    """A stand of trees."""

    code: str
    """Code."""
    species: str
    """Species."""
    area_mu: Decimal
    """Area in mu."""
    area_ha: Decimal
    """Area in hectares (mu / 15), rounded to 4 decimals."""
    effective_area_mu: Decimal
    """Area in mu that takes up carbon."""
    planted_on: date
    """Day of planting."""
    planting_plan: str
    """Planting plan."""
    expected_t_per_mu_year: Decimal
    """Expected uptake, tCO2 per mu and year."""

    @classmethod
    def of(cls, stand: sinks.Stand) -> SinkStand:
        return build(cls, stand, area_ha=sinks.rounded(sinks.hectares(stand.area_mu), 4))


@object_type
class MonitoringRound:
    """A measurement of the carbon stock."""

    measured_on: date
    """Day."""
    stock_t: Decimal
    """Carbon stock, tCO2."""
    uncertainty: Decimal
    """Uncertainty as a fraction."""
    evidence: str
    """Reference of the monitoring report."""


@object_type
class SinkRemoval:
    """What was taken up between two rounds."""

    first: date
    """Day of the earlier round."""
    last: date
    """Day of the later round."""
    measured_t: Decimal
    """Change of the stock, tCO2."""
    deduction: Decimal | None
    """Share taken off for uncertainty; null when the sample was too small."""
    counted_t: Decimal | None
    """What counts after deductions; null when it must be measured again."""


@object_type
class CarbonSink:
    """The trees of a project (9.1.1 a 3)."""

    stands: list[SinkStand]
    """Stands in force."""
    rounds: list[MonitoringRound]
    """Measurements in force."""
    removals: list[SinkRemoval]
    """What was taken up between measurements."""
    estimate_t_per_year: Decimal
    """Effective area times expected uptake, tCO2 a year (6.2.3 a 7)."""

    @classmethod
    def of(cls, sink: Sink) -> CarbonSink:
        return cls(
            stands=[SinkStand.of(s) for s in sink.stands],
            rounds=[build(MonitoringRound, r) for r in sink.rounds],
            removals=[build(SinkRemoval, r) for r in sink.removals],
            estimate_t_per_year=sinks.estimate_t(sink.stands),
        )


@object_type
class ProjectClaim(Node):
    """Reductions of a period that are claimed (减排量)."""

    project_id: strawberry.ID
    """The project."""
    number: int
    """Number in the project."""
    period_from: date
    """First day."""
    period_to: date
    """Day after the last."""
    quantity: Tonnes
    """Tonnes claimed."""
    verified: Tonnes | None
    """Tonnes verified."""
    verifier: str
    """Body that verified; never the one that validated the project."""
    state: str
    """State, as the regime names it."""
    version: int
    """Version, for `expectedVersion`."""
    lot_id: strawberry.ID | None
    """The lot it was registered as."""

    @classmethod
    def of(cls, claim: domain.Claim) -> ProjectClaim:
        return build(
            cls,
            claim,
            id=to_id("ProjectClaim", claim.id),
            project_id=to_id("CarbonProject", claim.project_id),
            quantity=Tonnes(claim.quantity_t),
            verified=None if claim.verified_t is None else Tonnes(claim.verified_t),
            lot_id=claim.lot_id and to_id("AssetLot", claim.lot_id),
        )


@object_type
class CarbonProject(Node):
    """A project that reduces emissions or removes carbon (减排项目, 8.3.2; 碳汇项目, 8.3.3)."""

    record: strawberry.Private[domain.Project]
    key: strawberry.Private[UUID]
    organisation_id: strawberry.ID
    """Organisation that owns it."""
    code: str
    """Code."""
    name: str
    """Name."""
    regime: str
    """Regime it follows."""
    methodology: str
    """Methodology."""
    region: str
    """Region it lies in."""
    begun_on: date
    """Day it began."""
    crediting_from: date
    """First day of the crediting period."""
    crediting_to: date
    """Day after the last of the crediting period."""
    in_allowance_scheme: bool
    """Whether it lies inside an allowance scheme."""
    in_other_mechanism: bool
    """Whether it takes part in another mechanism."""
    state: str
    """State, as the regime names it."""
    version: int
    """Version, for `expectedVersion`."""
    validator: str
    """Body that validated it."""

    @classmethod
    def of(cls, project: domain.Project) -> CarbonProject:
        return build(
            cls,
            project,
            id=to_id("CarbonProject", project.id),
            record=project,
            key=project.id,
            organisation_id=to_id("Organisation", project.organisation_id),
        )

    @batched
    async def events(parents: list[Any], info: Info) -> list[list[ProjectEvent]]:
        """Steps taken, of the project and its claims, in order."""
        found = await _parts(parents, info, "events")
        return [[ProjectEvent.of(e) for e in found.get(p.key, ())] for p in parents]

    @batched
    async def claims(parents: list[Any], info: Info) -> list[list[ProjectClaim]]:
        """What was claimed, in order."""
        found = await _parts(parents, info, "claims")
        return [[ProjectClaim.of(c) for c in found.get(p.key, ())] for p in parents]

    @batched
    async def next_steps(parents: list[Any], info: Info) -> list[list[NextStep]]:
        """Steps that are possible from where the project stands."""
        found = await _parts(parents, info, "events")
        return [_next_steps(p.record, found.get(p.key, [])) for p in parents]

    @batched
    async def sink(parents: list[Any], info: Info) -> list[CarbonSink]:
        """Its trees, for a sink."""
        records = [p.record for p in parents]
        found = await info.context.use(ProjectService).sinks(info.context.principal, records)
        return [CarbonSink.of(found[p.key]) for p in parents]


async def _parts(parents: list[Any], info: Info, kind: Literal["claims", "events"]) -> dict[UUID, list[Any]]:
    return await info.context.use(ProjectService).parts(info.context.principal, kind, [p.key for p in parents])


def _next_steps(project: domain.Project, events: list[domain.Event]) -> list[NextStep]:
    own = [e for e in events if e.claim_number == 0]
    return [
        NextStep(code=s.code, documents=list(s.documents), earliest=earliest_day(s, own))
        for s in regimes()[project.regime].step
        if project.state in s.starts
    ]
