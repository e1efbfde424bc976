"""GraphQL queries and mutations on activity records and declared results."""

from __future__ import annotations

from typing import Annotated

import strawberry

from backend.accounting.domain.factors import DEFAULT_GWP_SET
from backend.accounting.domain.records import RecordFilter
from backend.accounting.graphql.records import (
    ActivityChangeInput,
    ActivityRecord,
    DeclaredResult,
    DeclaredResultChangeInput,
    EmissionRecordFilter,
    NewActivityInput,
    NewDeclaredResultInput,
)
from backend.accounting.graphql.rows import read_rows, why
from backend.accounting.service.activity import ActivityService
from backend.accounting.service.declared import DeclaredResultService
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload, UserError
from backend.kit.graphql.types import input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.domain import GwpSet

Filter = Annotated[
    EmissionRecordFilter | None, strawberry.argument(description="Which records; the current ones when not given.")
]


@input_type
class RecordActivityInput(MutationInput):
    """Quantities to record, at most 1000."""

    rows: list[NewActivityInput]
    """The quantities."""
    all_or_nothing: bool = False
    """Record none when any row is refused."""


@object_type
class ActivityOutcome:
    """What became of one row."""

    record: ActivityRecord | None
    """The record; null when the row was refused."""
    error: UserError | None
    """Why the row was refused."""


@object_type
class RecordActivityPayload(Payload):
    """What became of each row."""

    outcomes: list[ActivityOutcome]
    """One per row, in their order."""


@input_type
class RecordDeclaredResultsInput(MutationInput):
    """Results to record, at most 1000."""

    rows: list[NewDeclaredResultInput]
    """The results."""
    gwp_set: GwpSet = DEFAULT_GWP_SET
    """The set of global warming potentials that turns the gases into CO2 equivalent."""
    all_or_nothing: bool = False
    """Record none when any row is refused."""


@object_type
class DeclaredResultOutcome:
    """What became of one row."""

    result: DeclaredResult | None
    """The result; null when the row was refused."""
    error: UserError | None
    """Why the row was refused."""


@object_type
class RecordDeclaredResultsPayload(Payload):
    """What became of each row."""

    outcomes: list[DeclaredResultOutcome]
    """One per row, in their order."""


@input_type
class SupersedeActivityInput(MutationInput):
    """A correction of an activity record."""

    id: strawberry.ID
    """The current version of the record."""
    reason: str
    """Why it is corrected."""
    change: ActivityChangeInput | None = None
    """What the new version says; left out, the record is withdrawn."""


@object_type
class SupersedeActivityPayload(Payload):
    """The record as it now stands."""

    record: ActivityRecord | None = None
    """The new version, or the withdrawn record."""


@input_type
class SupersedeDeclaredResultInput(MutationInput):
    """A correction of a declared result."""

    id: strawberry.ID
    """The current version of the result."""
    reason: str
    """Why it is corrected."""
    change: DeclaredResultChangeInput | None = None
    """What the new version says; left out, the result is withdrawn."""


@object_type
class SupersedeDeclaredResultPayload(Payload):
    """The result as it now stands."""

    result: DeclaredResult | None = None
    """The new version, or the withdrawn result."""


@object_type
class RecordQueries:
    """Records."""

    @query(requires(Permission.EMISSION_READ))
    async def activity_records(
        self, info: Info, filter: Filter = None, first: int | None = None, after: str | None = None
    ) -> Connection[ActivityRecord]:
        """Activity records the caller may read, in the order they were recorded."""
        wanted = filter.command() if filter else RecordFilter()
        page = await info.context.use(ActivityService).page(
            info.context.principal, wanted, PageRequest.read(first, after)
        )
        return Connection.of(page.map(ActivityRecord.of))

    @query(requires(Permission.EMISSION_READ))
    async def declared_results(
        self, info: Info, filter: Filter = None, first: int | None = None, after: str | None = None
    ) -> Connection[DeclaredResult]:
        """Declared results the caller may read, in the order they were recorded."""
        wanted = filter.command() if filter else RecordFilter()
        page = await info.context.use(DeclaredResultService).page(
            info.context.principal, wanted, PageRequest.read(first, after)
        )
        return Connection.of(page.map(DeclaredResult.of))


@object_type
class RecordMutations:
    """Recording."""

    @mutation(requires(Permission.EMISSION_RECORD))
    async def record_activity(self, info: Info, input: RecordActivityInput) -> RecordActivityPayload:
        """Record up to 1000 quantities; each row is judged on its own unless all or nothing is asked."""
        rows = read_rows(input.rows, NewActivityInput.command)
        done = await info.context.use(ActivityService).record(
            info.context.actor(input), rows, all_or_nothing=input.all_or_nothing
        )
        outcomes = [
            ActivityOutcome(record=ActivityRecord.of(o.record) if o.record else None, error=why(o.refusal, info))
            for o in done.value.outcomes
        ]
        return RecordActivityPayload(errors=[], outcomes=outcomes, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def record_declared_results(
        self, info: Info, input: RecordDeclaredResultsInput
    ) -> RecordDeclaredResultsPayload:
        """Record up to 1000 results; each row is judged on its own unless all or nothing is asked."""
        rows = read_rows(input.rows, NewDeclaredResultInput.command)
        done = await info.context.use(DeclaredResultService).record(
            info.context.actor(input), rows, gwp_set=input.gwp_set, all_or_nothing=input.all_or_nothing
        )
        outcomes = [
            DeclaredResultOutcome(result=DeclaredResult.of(o.result) if o.result else None, error=why(o.refusal, info))
            for o in done.value.outcomes
        ]
        return RecordDeclaredResultsPayload(errors=[], outcomes=outcomes, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def supersede_activity(self, info: Info, input: SupersedeActivityInput) -> SupersedeActivityPayload:
        """Replace an activity record by a corrected version, or withdraw it."""
        key = key_of(input.id, "ActivityRecord", "id")
        done = await info.context.use(ActivityService).supersede(
            info.context.actor(input), key, input.reason, input.change.command() if input.change else None
        )
        return SupersedeActivityPayload(errors=[], record=ActivityRecord.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def supersede_declared_result(
        self, info: Info, input: SupersedeDeclaredResultInput
    ) -> SupersedeDeclaredResultPayload:
        """Replace a declared result by a corrected version, or withdraw it."""
        key = key_of(input.id, "DeclaredResult", "id")
        done = await info.context.use(DeclaredResultService).supersede(
            info.context.actor(input), key, input.reason, input.change.command() if input.change else None
        )
        return SupersedeDeclaredResultPayload(errors=[], result=DeclaredResult.of(done.value), replayed=done.replayed)
