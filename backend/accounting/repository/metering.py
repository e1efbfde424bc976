"""SQL of meters: what a month of a stream follows from."""

from __future__ import annotations

from uuid import UUID

from backend.accounting.domain.metering import Meter, Metered, MeterReading
from backend.accounting.domain.monitoring import Instrument
from backend.accounting.repository import measurements, monitoring
from backend.kit.database import ReadSession, UnitOfWork


async def instruments_of(session: ReadSession, organisation_id: UUID) -> dict[UUID, Instrument]:
    """The instruments of a site, by id."""
    return {i.id: i for i in await monitoring.instruments_of(session, organisation_id)}


async def metered(session: ReadSession, stream_id: UUID, organisation_id: UUID) -> list[Metered]:
    """The meters of a stream with their readings and the calibrations of their instruments, oldest first."""
    meters = await measurements.current(session, Meter, ("id",), stream_id=[stream_id])
    readings: dict[UUID, list[MeterReading]] = {m.id: [] for m in meters}
    for reading in await measurements.current(session, MeterReading, ("day",), stream_id=[stream_id]):
        readings[reading.meter_id].append(reading)
    instruments = await instruments_of(session, organisation_id)
    covered = await monitoring.covered(session, [m.instrument_id for m in meters])
    return [
        Metered(
            m,
            instruments[m.instrument_id].code,
            instruments[m.instrument_id].required_error,
            tuple(covered.get(m.instrument_id, ())),
            tuple(readings[m.id]),
        )
        for m in meters
    ]


async def hold(unit: UnitOfWork) -> None:
    """Judge the registers now rather than when the work is committed. Errors: METER_COUNTS_BACK after a race."""
    with measurements.met_coded():
        await unit.execute("SET CONSTRAINTS registers_count_up IMMEDIATE")
