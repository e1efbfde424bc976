"""What holds for every method: its description, its errors, and that its tree recomputes to the last digit."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from backend.accounting.domain.derivation import (
    Coefficient,
    Step,
    as_json,
    exact,
    from_json,
    recomputed,
    written,
)
from backend.accounting.domain.dimensions import unit_of
from backend.accounting.domain.methods.inputs import Inputs
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.registry import METHODS, derive
from backend.accounting.domain.methods.spec import Context, FromLibrary, GivenParameter
from backend.accounting.domain.sources import Category, DirectKind, Flow, Programme
from backend.kit.errors import CodedError
from backend.kit.quantity import times
from tests.accounting.methods.making import JUNE, a_stream, made, refused
from tests.accounting.test_coefficients import library

MATERIALS = {
    MethodKind.LIBRARY: "DIESEL",
    MethodKind.CLINKER_TYPE: "PORTLAND_CLINKER",
    MethodKind.ALTERNATIVE_RAW_MATERIAL: "CARBIDE_SLAG",
    MethodKind.STEEL_MATERIAL: "LIMESTONE",
    MethodKind.EMBEDDED_CARBON: "PIG_IRON",
}
CONTRADICTIONS = {
    "PARAMETER_MISSING",
    "FACTOR_NOT_FOUND",
    "TWO_BASES_GIVEN",
    "MOISTURE_BELOW_AIR_DRIED",
    "SHARES_ABOVE_WHOLE",
    "OXIDE_BEYOND_TOTAL",
    "CONCENTRATION_TWICE",
    "VOLUME_SHARE_OF_CO2_ONLY",
}
"""Parameters that exclude or contradict one another are refused by a code of their own."""
FORMULA = "max(a, b) * k + (a - b)^1 * k / 2"


@st.composite
def derivations(draw: st.DrawFn, kind: MethodKind) -> tuple[dict[str, GivenParameter], Context]:
    """Parameters of a method within what is plausible, some of them left to the defaults."""
    spec = METHODS[kind]
    unit = "t" if kind in MATERIALS else draw(st.sampled_from(spec.units))
    stream = a_stream(
        unit,
        MATERIALS.get(kind),
        flow=draw(st.sampled_from(sorted(spec.flows))),
        programme=draw(st.sampled_from(Programme)),
        own_factor=Decimal("0.5") if kind is MethodKind.OWN_FACTOR else None,
    )
    gas = draw(st.sampled_from(["CH4", "N2O", "SF6", "HFC-134a"])) if spec.needs_gas else None
    context = Context(stream, JUNE, library(), gas=gas, formula=FORMULA if spec.takes_formula else None)
    inputs = Inputs(spec, {}, context)
    given: dict[str, GivenParameter] = {}
    for p in spec.parameters:
        ranges = inputs.ranges(p)
        if ranges and (p.required or draw(st.booleans())):
            fitting = draw(st.sampled_from(ranges))
            low, high = fitting.lowest or Decimal(0), fitting.highest or Decimal(10**6)
            value = draw(st.decimals(low, high, places=6))
            given[p.name] = GivenParameter(value, fitting.unit, "drawn")
    if spec.takes_formula:
        one, other = draw(st.decimals(0, 9, places=3)), draw(st.decimals(0, 9, places=9))
        given = {"a": GivenParameter(one, f"tC/{unit}", "x"), "b": GivenParameter(other, f"kgC/({unit})", "x")}
    return given, context


@pytest.mark.parametrize("kind", MethodKind)
@given(data=st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
def test_every_tree_recomputes_fits_its_unit_and_survives_json(kind: MethodKind, data: st.DataObject) -> None:
    parameters, context = data.draw(derivations(kind))
    one = _derived(kind, parameters, context)
    kept = json.loads(json.dumps([as_json(s) for s in one.steps]))
    assert tuple(from_json(s) for s in kept) == one.steps
    for step in _all(one.steps):
        assert recomputed(step) == step.value
    potentials = {t.gas: t.gwp for t in one.gases} | {"": one.gases[0].gwp}
    kept_exactly = sum((Fraction(t.value) * Fraction(t.gwp) for t in one.gases), Fraction(0))
    assert abs(Fraction(one.co2e_per_unit) - kept_exactly) <= Fraction(1, 2 * 10**18)
    reference = exact(Decimal(1000), one.steps, potentials)
    assert abs(Fraction(times(Decimal(1000), one.co2e_per_unit)) - reference) <= Fraction(1, 10**9)


def _derived(kind: MethodKind, parameters: dict[str, GivenParameter], context: Context) -> Coefficient:
    """With the parameters that are used: what would be passed over is refused, and left out here."""
    try:
        return derive(kind, parameters, context)
    except CodedError as error:
        if error.code.name == "PARAMETER_UNUSED":
            return _derived(kind, {n: p for n, p in parameters.items() if n != error.params["name"]}, context)
        if error.code.name in CONTRADICTIONS:
            reject()
        raise


def _all(steps: tuple[Step, ...]) -> list[Step]:
    return [s for step in steps for s in (step, *_all(step.parts))]


def test_every_kind_is_registered_and_described_in_both_languages() -> None:
    assert set(METHODS) == set(MethodKind)
    for spec in METHODS.values():
        assert all((spec.name_zh, spec.name_en, spec.source, spec.units, spec.flows, spec.categories))
        names = [p.name for p in spec.parameters]
        assert len(set(names)) == len(names)
        for p in spec.parameters:
            assert all((p.name_zh, p.name_en, p.units))
            for r in p.units:
                assert unit_of(r.unit).bases is not None
                assert r.lowest is None or r.highest is None or r.lowest < r.highest
            if isinstance(p.default, FromLibrary) and p.default.code:
                assert library().offered(p.default.code, None)


def test_every_unit_of_the_library_that_may_be_a_term_is_read() -> None:
    for factor in library().factors:
        if factor.unit != "kJ/kgce":
            assert unit_of(factor.unit)


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ({"ncw": "23 GJ/t"}, "UNKNOWN_PARAMETER", "ncv"),
        ({}, "PARAMETER_MISSING", "GJ/t"),
        ({"ncv": "23 tC/GJ"}, "PARAMETER_UNIT_DOES_NOT_FIT", "GJ/t"),
        ({"ncv": "389 GJ/1e4Nm3"}, "PARAMETER_UNIT_DOES_NOT_FIT", "GJ/t"),
        ({"ncv": "23 bananas"}, "UNREADABLE_UNIT", "bananas"),
        ({"ncv": "23000 GJ/t"}, "PARAMETER_OUT_OF_RANGE", "0.5"),
        ({"ncv": "-23 GJ/t"}, "PARAMETER_OUT_OF_RANGE", "-23"),
        ({"ncv": "NaN GJ/t"}, "PARAMETER_NUMBER", "NaN"),
        ({"ncv": "Infinity GJ/t"}, "PARAMETER_NUMBER", "Infinity"),
        ({"ncv": f"23.{'1' * 40} GJ/t"}, "PARAMETER_NUMBER", "18"),
        ({"ncv": "1E+999 GJ/t"}, "PARAMETER_NUMBER", "1E+999"),
    ],
)
def test_a_bad_parameter_is_named_with_what_would_be_right(given: dict[str, str], code: str, says: str) -> None:
    error = refused(code, MethodKind.FUEL_COMBUSTION, "t", **given)
    assert says in str(error)
    assert error.path[0] == "parameters"


def test_where_a_method_does_not_fit() -> None:
    assert "1e4Nm3" in str(refused("METHOD_UNIT_DOES_NOT_FIT", MethodKind.GAS_COMPOSITION, "t", methane="90 %"))
    refused("METHOD_FLOW_DOES_NOT_FIT", MethodKind.FUEL_COMBUSTION, "t", "DIESEL", flow="LEAVING")
    refused("METHOD_TEXT", MethodKind.OTHER_GAS, "t", factor="1 kg/t")
    refused("METHOD_TEXT", MethodKind.FUEL_COMBUSTION, "t", "DIESEL", gas="CH4")
    refused("METHOD_TEXT", MethodKind.EXPRESSION, "t")
    refused("METHOD_TEXT", MethodKind.LIBRARY, "t")
    refused("UNKNOWN_GAS", MethodKind.LEAK_RATE, "t", gas="phlogiston", leakRate="1 %")
    assert METHODS[MethodKind.ANODE_EFFECT].fits_source(Category.DIRECT, DirectKind.PROCESS)
    assert not METHODS[MethodKind.ANODE_EFFECT].fits_source(Category.TRANSPORT, None)


def test_a_source_is_needed_for_what_is_given() -> None:
    with pytest.raises(CodedError, match="PARAMETER_SOURCE_MISSING"):
        derive(
            MethodKind.FUEL_COMBUSTION,
            {"ncv": GivenParameter(Decimal(20), "GJ/t", " ")},
            Context(a_stream("t", "DIESEL"), JUNE, library()),
        )


@given(st.fractions(max_denominator=10**7))
def test_a_rational_is_written_without_loss(value: Fraction) -> None:
    assert Fraction(written(value)) == value


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("kJ/kg", "MJ/t"),
        ("GJ/t", "TJ/kt"),
        ("tC/TJ", "kgC/GJ"),
        ("g/m3", "kg/千立方米"),
        ("mg/m3", "g/千立方米"),
        ("min/cell/day", "min/(cell*d)"),
        ("tCO2/(t*km)", "tCO2/t·km"),
        ("kg/万t*km", "t/千万t*km"),
    ],
)
def test_two_spellings_of_one_unit(left: str, right: str) -> None:
    assert (unit_of(left).bases, unit_of(left).scale) == (unit_of(right).bases, unit_of(right).scale)


@pytest.mark.parametrize("bad", ["", "GJ/", "/t", "GJ//t", "(GJ/t", "GJ/t)", "GJ^2", "x" * 80, "((((((((((t))))))))))"])
def test_a_unit_that_cannot_be_read(bad: str) -> None:
    with pytest.raises(CodedError, match="UNREADABLE_UNIT"):
        unit_of(bad)


@given(st.text(max_size=70))
def test_no_text_breaks_the_reading_of_units(text: str) -> None:
    with contextlib.suppress(CodedError):
        unit_of(text)


def test_a_coefficient_that_cannot_be_kept() -> None:
    refused("COEFFICIENT_TOO_LARGE", MethodKind.OWN_FACTOR, "t", factor="1000000000000000 tCO2e/t")
    assert made(MethodKind.OWN_FACTOR, "t", factor="0.85 kgCO2e/kg").co2e_per_unit == Decimal("0.85")


def test_a_factor_of_another_unit_is_no_coefficient() -> None:
    refused("COEFFICIENT_UNIT", MethodKind.STEEL_MATERIAL, "t", "GRID_ELECTRICITY")
    refused("COEFFICIENT_UNIT", MethodKind.LIBRARY, "MWh", "DIESEL")


NAMES = sorted({p.name for spec in METHODS.values() for p in spec.parameters} | {"a", "热值", "k", "1x", ""})
UNITS = sorted(
    {r.unit for spec in METHODS.values() for p in spec.parameters for r in p.units} | {"", "t", "%", "桶", "t/"}
)
anything = st.builds(
    GivenParameter,
    st.one_of(st.decimals(), st.decimals(-1000, 1000, places=3)),
    st.sampled_from(UNITS),
    st.sampled_from(["", "化验单"]),
)


@given(
    st.sampled_from(MethodKind),
    st.dictionaries(st.sampled_from(NAMES), anything, max_size=4),
    st.sampled_from(["t", "1e4Nm3", "GJ", "MWh", "t*km", "tCO2e"]),
    st.sampled_from([None, "DIESEL", "COKE", "GRID_ELECTRICITY", "PIG_IRON", "CARBIDE_SLAG", "no such"]),
    st.sampled_from([None, "CO2", "N2O", "HFC-134a", "phlogiston", "CO2_BIOGENIC"]),
    st.sampled_from([None, "a*k", "热值/0", "EF", "NCV*CC*k", "a ^ a", "((", " "]),
    st.sampled_from(Flow),
)
@settings(max_examples=400, deadline=None)
def test_nothing_that_can_be_given_breaks_a_derivation(
    kind: MethodKind,
    parameters: dict[str, GivenParameter],
    unit: str,
    material: str | None,
    gas: str | None,
    formula: str | None,
    flow: Flow,
) -> None:
    context = Context(a_stream(unit, material, flow=flow), JUNE, library(), gas=gas, formula=formula)
    with contextlib.suppress(CodedError):
        made_anyway = derive(kind, parameters, context)
        assert made_anyway.co2e_per_unit.is_finite()
        assert all(n in {p.parameter for s in made_anyway.steps for p in _all((s,))} for n in parameters)


def test_what_would_be_passed_over_is_refused() -> None:
    steel = {"material": "BITUMINOUS_COAL", "programme": "MEE_STEEL"}
    assert "carbonPerHeat" in str(refused("PARAMETER_UNUSED", MethodKind.FUEL_COMBUSTION, oxidation="99 %", **steel))
    refused("PARAMETER_UNUSED", MethodKind.FUEL_COMBUSTION, "GJ", "BITUMINOUS_COAL", ncv="23 GJ/t")
    refused("PARAMETER_UNUSED", MethodKind.ANODE_EFFECT, anodeEffect="1 min/cell/day", cf4Factor="1 kgCF4/tAl")


def test_a_gas_is_named_as_the_library_spells_it() -> None:
    one = made(MethodKind.OTHER_GAS, "t", gas="ｎ2o", factor="3 kgN2O/t")
    assert (one.gases[0].gas, one.value) == ("N2O", Decimal("0.795"))


def test_terms_kept_before_there_were_trees_are_read() -> None:
    key = "0190f0c0-7061-7202-8000-000000000061"
    old = from_json({"kind": "NCV", "written": "23.736", "unit": "GJ/t", "factor_id": key})
    assert (str(old.factor_id), old.parts, old.value) == (key, (), Fraction("23.736"))
    assert from_json({"kind": "CARBON_TO_CO2", "written": "44/12", "unit": "tCO2/tC", "factor_id": None}).shown == (
        Decimal("3.666666666666666667")
    )
