"""Batches of a fuel or material with what the laboratory found in them, and the means that follow.

A solid's month is weighted by the batches received, the tests of a fluid count alike; a year is weighted by what each
month consumed; clinker is kept per mix. Quantity and quality are in one state: carbon and shares that were found air-
dried or dry are brought to the as-received basis by the moisture of the same batch. A batch of coal without an analysis
takes the punitive default, that batch alone, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final
from uuid import UUID

from backend.accounting.domain.corrections import PUNITIVE, Coal
from backend.accounting.domain.dimensions import unit_of
from backend.accounting.domain.means import Displayed, MonthMean, State, display, weighted_mean, year_mean
from backend.accounting.domain.measured import OfStream
from backend.accounting.domain.methods.fuels import MEASURED_CARBON, NCV
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import ParameterSpec
from backend.accounting.domain.sources import Stream
from backend.kit.errors import CodedError, conflict, invalid, rule
from backend.kit.ids import uuid7
from backend.kit.quantity import GAS, QUANTITY_DECIMALS, round_half_up, to_canonical
from backend.kit.text import tidy

BAD_BATCH = invalid("BAD_BATCH", en="{reason}", zh="{reason_zh}")
BATCH_TAKEN = conflict(
    "BATCH_TAKEN",
    en="The stream has a batch '{code}' of {day} already; supersede that one.",
    zh="该流在 {day} 已有批次 '{code}'，请替换该批次。",
)
QUALITY_UNIT = invalid(
    "QUALITY_UNIT",
    en="{parameter} is not measured in '{unit}'; write {fitting}.",
    zh="{parameter} 不能以 '{unit}' 计；可用 {fitting}。",
)
QUALITY_RANGE = invalid(
    "QUALITY_RANGE",
    en="{parameter} of {value} {unit} is not plausible: {lowest} to {highest} {canonical} is. Check unit and decimals.",
    zh="{parameter} 为 {value} {unit}，不合理：应为 {lowest} 至 {highest} {canonical}。请核对单位和小数点。",
)
QUALITY_BASIS = rule(
    "QUALITY_BASIS",
    en="{parameter} on the basis {basis} needs {needed} of the same batch to be brought to the as-received basis.",
    zh="{parameter} 为 {basis} 基，换算为收到基须给出同批次的 {needed}。",
)
NOT_TESTED = rule(
    "NOT_TESTED",
    en="{parameter} was not tested in {month}, and only coal has a default for that; test it, or leave the library's "
    "default.",
    zh="{month} 未检测 {parameter}，且仅煤有相应缺省值；请补充检测，或沿用因子库缺省值。",
)


NO_BASIS_OF_MEAN = invalid(
    "NO_BASIS_OF_MEAN",
    en="No method takes the mean of {parameter}; those of {known} become a basis.",
    zh="没有方法采用 {parameter} 的均值；可采用 {known} 的均值。",
)


class QualityParameter(StrEnum):
    """What a laboratory finds in a batch."""

    NCV = "NCV"
    """Net calorific value, as received (低位发热量)."""
    CARBON = "CARBON"
    """Carbon (元素碳)."""
    MOISTURE_AR = "MOISTURE_AR"
    """Total moisture, as received (全水分)."""
    MOISTURE_AD = "MOISTURE_AD"
    """Moisture of the air-dried sample (空气干燥基水分)."""
    ASH = "ASH"
    """Ash (灰分)."""
    VOLATILE = "VOLATILE"
    """Volatile matter (挥发分)."""
    SULPHUR = "SULPHUR"
    """Sulphur (全硫)."""
    HYDROGEN = "HYDROGEN"
    """Hydrogen (氢)."""
    CAO = "CAO"
    """CaO of clinker or raw meal (氧化钙)."""
    MGO = "MGO"
    """MgO of clinker or raw meal (氧化镁)."""
    CAO_NOT_CARBONATE = "CAO_NOT_CARBONATE"
    """CaO that is not from carbonate (非碳酸盐氧化钙)."""
    MGO_NOT_CARBONATE = "MGO_NOT_CARBONATE"
    """MgO that is not from carbonate (非碳酸盐氧化镁)."""
    LOSS_ON_IGNITION = "LOSS_ON_IGNITION"
    """Loss on ignition (烧失量)."""


TAKES: Final[Mapping[QualityParameter, tuple[MethodKind, str]]] = {
    QualityParameter.NCV: (MethodKind.FUEL_COMBUSTION, "ncv"),
    QualityParameter.CARBON: (MethodKind.MEASURED_CARBON, "carbonAsReceived"),
}
"""Which method takes a mean, and as which of its parameters."""
MEAN_OF_BATCHES: Final = "批次加权平均 mean of batches"


class QualityBasis(StrEnum):
    """The state a sample was in."""

    AR = "AR"
    """As received, the state that is weighed (收到基)."""
    AD = "AD"
    """Air-dried (空气干燥基)."""
    D = "D"
    """Dry (干燥基)."""


COALS: Final = frozenset({
    "ANTHRACITE", "BITUMINOUS_COAL", "LIGNITE", "COAL", "WASHED_COKING_COAL", "OTHER_WASHED_COAL", "COAL_GANGUE",
    "COAL_SLIME",
})  # fmt: skip
UNCONVENTIONAL: Final = frozenset({"COAL_GANGUE", "COAL_SLIME"})
_HIGHEST: Final[Mapping[QualityParameter, Decimal]] = {QualityParameter.NCV: Decimal(1300)}
_TAKEN_AS: Final[Mapping[QualityParameter, ParameterSpec | None]] = {
    QualityParameter.NCV: NCV,
    QualityParameter.CARBON: MEASURED_CARBON.parameter("carbonAsReceived"),
    QualityParameter.MOISTURE_AR: MEASURED_CARBON.parameter("totalMoisture"),
    QualityParameter.MOISTURE_AD: MEASURED_CARBON.parameter("airDriedMoisture"),
}
"""The parameter of a method that means the same: what is plausible there is plausible here."""
_MOISTURES: Final = {QualityParameter.MOISTURE_AR, QualityParameter.MOISTURE_AD}


@dataclass(frozen=True, slots=True)
class QualityResult:
    """What was found, as written, and the state of the sample."""

    parameter: QualityParameter
    value: Decimal
    unit: str
    basis: QualityBasis = QualityBasis.AR


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch to record; `phase` None: a gas is a fluid, everything else a solid."""

    stream_id: UUID
    day: date
    code: str
    quantity: Decimal
    unit: str
    results: tuple[QualityResult, ...] = ()
    phase: State | None = None
    mix: str = ""
    laboratory: str = ""
    report: str = ""
    evidence: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialBatch(OfStream):
    """A batch; `quantity` in the canonical unit of the stream."""

    day: date
    code: str
    phase: State
    mix: str
    unit: str
    quantity: Decimal
    laboratory: str
    report: str
    results: tuple[QualityResult, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchValue:
    """What a batch adds to a mean: its value on the as-received basis, its weight, and whether it is the default."""

    batch_id: UUID
    code: str
    value: Decimal
    weight: Decimal
    defaulted: bool


@dataclass(frozen=True, slots=True)
class QualityMean:
    """The mean of a parameter in a month (None: the year) of one mix, and what it is made of.

    `value` 12 decimals, `shown` as the programme shows it; `weight` what was consumed in the month, which weighs it in
    the year; `defaulted` when a default is in it. `untested`: batches left out, without a value and a default.
    """

    month: date | None
    parameter: QualityParameter
    mix: str
    unit: str
    value: Decimal
    shown: Decimal
    weight: Decimal
    defaulted: bool
    batches: tuple[BatchValue, ...] = ()
    untested: tuple[str, ...] = ()


def canonical_unit(parameter: QualityParameter, stream_unit: str) -> str:
    """GJ or tC per unit of the stream; everything else in %."""
    if parameter is QualityParameter.NCV:
        return f"GJ/{stream_unit}"
    return f"tC/{stream_unit}" if parameter is QualityParameter.CARBON else "%"


def read_result(result: QualityResult, stream_unit: str) -> Decimal:
    """The value in the canonical unit of its parameter. Carbon may be written in %, too.

    Errors: QUALITY_UNIT, QUALITY_RANGE, UNREADABLE_UNIT.
    """
    canonical = canonical_unit(result.parameter, stream_unit)
    wanted, written = unit_of(canonical), unit_of(result.unit)
    as_share = result.parameter is QualityParameter.CARBON and not written.bases and stream_unit != GAS
    if not as_share and not written.fits(wanted):
        fitting = canonical if canonical == "%" else f"{canonical} / %" if "tC" in canonical else canonical
        raise QUALITY_UNIT(path=("unit",), parameter=result.parameter, unit=result.unit[:40], fitting=fitting)
    highest = _HIGHEST.get(result.parameter, Decimal(100 if canonical == "%" else 1 if stream_unit != GAS else 100))
    if not result.value.is_finite():
        raise _implausible(result, canonical, Decimal(0), highest)
    value = Fraction(result.value) * written.scale / (1 if as_share else wanted.scale)
    if not 0 <= value <= highest:
        raise _implausible(result, canonical, Decimal(0), highest)
    return round_half_up(value, 18)


def _implausible(result: QualityResult, canonical: str, lowest: Decimal, highest: Decimal) -> CodedError:
    return QUALITY_RANGE(
        path=("value",), parameter=result.parameter, value=str(result.value)[:40], unit=result.unit[:40],
        lowest=lowest, highest=highest, canonical=canonical,
    )  # fmt: skip


def check_plausible(result: QualityResult, stream_unit: str) -> None:
    """What a method would refuse as its parameter is refused of a batch, too. Errors: QUALITY_RANGE.

    Asked where a batch is recorded, not where it is read: what was kept earlier stays readable.
    """
    canonical = canonical_unit(result.parameter, stream_unit)
    spec = _TAKEN_AS.get(result.parameter)
    fitting = next((r for r in spec.units if r.unit == canonical), None) if spec else None
    if fitting is None or fitting.lowest is None or fitting.highest is None:
        return
    if not fitting.lowest <= read_result(result, stream_unit) <= fitting.highest:
        raise _implausible(result, canonical, fitting.lowest, fitting.highest)


def as_received(batch: MaterialBatch, parameter: QualityParameter, stream_unit: str) -> Fraction | None:
    """What a batch holds of something on the as-received basis; None when it was not tested.

    X_ar = X_ad·(100 − M_ar)/(100 − M_ad); X_ar = X_d·(100 − M_ar)/100. Errors: QUALITY_BASIS.
    """
    found = {r.parameter: r for r in batch.results}
    result = found.get(parameter)
    if result is None:
        return None
    value = Fraction(read_result(result, stream_unit))
    if result.basis is QualityBasis.AR or parameter in _MOISTURES:
        return value
    if parameter is QualityParameter.NCV:
        raise QUALITY_BASIS(path=("basis",), parameter=parameter, basis=result.basis, needed="NCV_ar")
    needed = [QualityParameter.MOISTURE_AR, *([QualityParameter.MOISTURE_AD] * (result.basis is QualityBasis.AD))]
    missing = [n for n in needed if n not in found]
    if missing:
        raise QUALITY_BASIS(
            path=("basis",), parameter=parameter, basis=result.basis, needed=tuple(missing), source="8.2.4"
        )
    total, *dried = (Fraction(read_result(found[n], stream_unit)) for n in needed)
    return value * (100 - total) / (100 - (dried[0] if dried else 0))


def default_of(parameter: QualityParameter, stream: Stream) -> Fraction | None:
    """The punitive default of coal: NCV, and carbon as carbon per heat × that NCV; None for all else."""
    if stream.material not in COALS:
        return None
    punitive = PUNITIVE[Coal.UNCONVENTIONAL if stream.material in UNCONVENTIONAL else Coal.CONVENTIONAL]
    if parameter is QualityParameter.NCV:
        return punitive.ncv.value
    return punitive.ncv.value * punitive.carbon_per_heat.value if parameter is QualityParameter.CARBON else None


def means(stream: Stream, batches: Sequence[MaterialBatch], consumed: Mapping[date, Decimal]) -> list[QualityMean]:
    """Every mean of the months of a year, then of the year, by parameter and mix; exact until they are kept.

    A month that consumed coal without a batch has the default of what other months tested. Errors: QUALITY_BASIS.
    """
    tested = {r.parameter for b in batches for r in b.results}
    found: list[QualityMean] = []
    for parameter in (p for p in QualityParameter if p in tested):
        for mix in sorted({b.mix for b in batches}):
            months = _months(stream, parameter, [b for b in batches if b.mix == mix], consumed)
            found += [kept for kept, _ in months]
            year = year_mean(MonthMean(kept.month, exact, kept.weight) for kept, exact in months if kept.month)
            if year is not None:
                weight = sum((kept.weight for kept, _ in months), Decimal(0))
                defaulted = any(kept.defaulted for kept, _ in months)
                found.append(_mean(stream, parameter, year, month=None, mix=mix, weight=weight, defaulted=defaulted))
    return found


def _months(
    stream: Stream, parameter: QualityParameter, batches: Sequence[MaterialBatch], consumed: Mapping[date, Decimal]
) -> list[tuple[QualityMean, Fraction]]:
    by_month: dict[date, list[MaterialBatch]] = {}
    for batch in batches:
        by_month.setdefault(batch.day.replace(day=1), []).append(batch)
    default = default_of(parameter, stream)
    found = []
    for month in sorted({*by_month, *(consumed if default is not None else ())}):
        values = _values(stream, parameter, by_month.get(month, ()), default)
        mean = weighted_mean((exact, value.weight) for value, exact in values) if values else default
        if mean is None:
            continue
        made = _mean(
            stream, parameter, mean, month=month, mix=batches[0].mix, weight=consumed.get(month, Decimal(0)),
            batches=tuple(value for value, _ in values), defaulted=not values or any(v.defaulted for v, _ in values),
            untested=tuple(b.code for b in by_month.get(month, ()) if b.id not in {v.batch_id for v, _ in values}),
        )  # fmt: skip
        found.append((made, mean))
    return found


def _values(
    stream: Stream, parameter: QualityParameter, batches: Iterable[MaterialBatch], default: Fraction | None
) -> list[tuple[BatchValue, Fraction]]:
    values = []
    for batch in batches:
        found = as_received(batch, parameter, stream.unit)
        exact = default if found is None else found
        if exact is not None:
            weight = batch.quantity if batch.phase is State.SOLID else Decimal(1)
            shown = round_half_up(exact, QUANTITY_DECIMALS)
            values.append((BatchValue(batch.id, batch.code, shown, weight, found is None), exact))
    return values


def _mean(
    stream: Stream, parameter: QualityParameter, exact: Fraction, *, month: date | None, mix: str, weight: Decimal,
    defaulted: bool, batches: tuple[BatchValue, ...] = (), untested: tuple[str, ...] = (),
) -> QualityMean:  # fmt: skip
    what = Displayed.CARBON if parameter is QualityParameter.CARBON else Displayed.NCV
    return QualityMean(
        month, parameter, mix, canonical_unit(parameter, stream.unit), round_half_up(exact, QUANTITY_DECIMALS),
        display(exact, what, stream.programme), weight, defaulted, batches, untested,
    )  # fmt: skip


def checked_batch(new: NewBatch, stream: Stream) -> MaterialBatch:
    """A batch ready to be kept. Errors: BAD_BATCH, QUALITY_UNIT, QUALITY_RANGE, QUALITY_BASIS, UNKNOWN_UNIT …"""
    quantity = to_canonical(new.quantity, new.unit, stream.unit)
    code = tidy(new.code)
    if quantity <= 0 or not 1 <= len(code) <= 60:
        raise BAD_BATCH(
            path=("code",) if quantity > 0 else ("quantity",),
            reason="A batch has a code of 1 to 60 characters and a quantity above 0.",
            reason_zh="批次须有 1 至 60 个字符的编号和大于 0 的数量。",
        )
    names = [r.parameter for r in new.results]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise BAD_BATCH(path=("results", str(i)), reason=f"{name} stands twice.", reason_zh=f"{name} 重复给出。")
    fluid = stream.unit == GAS
    made = MaterialBatch(
        id=uuid7(), stream_id=stream.id, day=new.day, code=code, unit=tidy(new.unit), quantity=quantity,
        phase=new.phase or (State.FLUID if fluid else State.SOLID), mix=tidy(new.mix),
        laboratory=tidy(new.laboratory), report=tidy(new.report), results=new.results,
        evidence=tidy(new.evidence), note=tidy(new.note),
    )  # fmt: skip
    for i, result in enumerate(new.results):
        try:
            check_plausible(result, stream.unit)
            as_received(made, result.parameter, stream.unit)
        except CodedError as error:
            raise error.at("results", str(i)) from None
    return made


def applied(found: Sequence[QualityMean], month: date, parameter: QualityParameter) -> QualityMean:
    """The mean of a month that becomes its basis; of one mix. Errors: NOT_TESTED."""
    fitting = [m for m in found if m.month == month and m.parameter is parameter]
    if len(fitting) != 1:
        raise NOT_TESTED(path=("parameter",), parameter=parameter, month=f"{month:%Y-%m}", source="8.2.4")
    return fitting[0]


def shares(mean: QualityMean) -> list[Decimal]:
    """What each batch adds to a mean, 12 decimals; the last takes what rounding leaves, so that they add up to it."""
    weight = sum((Fraction(b.weight) for b in mean.batches), Fraction(0))
    added = [round_half_up(Fraction(b.value) * Fraction(b.weight) / weight, QUANTITY_DECIMALS) for b in mean.batches]
    return [*added[:-1], mean.value - sum(added[:-1], Decimal(0))] if added else []
