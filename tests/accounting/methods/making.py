"""What the tests of methods derive with: the library from its files, a stream, parameters in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import pytest

from backend.accounting.domain.derivation import Coefficient, exact
from backend.accounting.domain.factors import CO2
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.registry import derive
from backend.accounting.domain.methods.spec import Context, GivenParameter
from backend.accounting.domain.sources import Cadence, Flow, Programme, Stream
from backend.kit.errors import CodedError
from backend.kit.quantity import times
from tenants.domain import GwpSet
from tests.accounting.test_coefficients import library

JUNE = date(2024, 6, 1)


def a_stream(unit: str = "t", material: str | None = None, **fields: Any) -> Stream:
    plain = Stream(
        uuid4(),
        uuid4(),
        "a",
        "",
        "",
        material,
        Flow.CONSUMED,
        Programme.GENERAL,
        unit,
        CO2,
        None,
        None,
        None,
        None,
        "",
        Cadence.MONTHLY,
        evidence_required=False,
    )
    return replace(plain, **fields)


def made(kind: MethodKind, unit: str = "t", material: str | None = None, **given: str) -> Coefficient:
    """Derive with parameters written as `ncv="23.7 GJ/t"`; gas, formula, flow, programme … go to stream and context."""
    texts = {name: given.pop(name) for name in ("gas", "formula") if name in given}
    gwp_set = GwpSet(given.pop("gwp_set", "AR5"))
    readers: dict[str, Callable[[str], Any]] = {
        "flow": Flow,
        "programme": Programme,
        "region": str,
        "factor_set": str,
    }
    fields: dict[str, Any] = {name: read(given.pop(name)) for name, read in readers.items() if name in given}
    stream = a_stream(unit, material, **fields)
    parameters = {name: parameter(text) for name, text in given.items()}
    return derive(kind, parameters, Context(stream, JUNE, library(), gwp_set, **texts))


def parameter(text: str) -> GivenParameter:
    value, _, unit = text.partition(" ")
    return GivenParameter(Decimal(value), unit, "检测报告 2024-06")


def tonnes(quantity: str, coefficient: Coefficient) -> Decimal:
    """As the database computes it: quantity × coefficient, 9 decimals. Held against the exact value of the tree."""
    found = times(Decimal(quantity), coefficient.co2e_per_unit)
    potentials = {t.gas: t.gwp for t in coefficient.gases}
    reference = exact(Decimal(quantity), coefficient.steps, {**potentials, "": coefficient.gases[0].gwp})
    assert abs(Fraction(found) - reference) <= Fraction(1, 10**9) + abs(Fraction(quantity)) / 10**13
    return found


def refused(code: str, *args: Any, **given: Any) -> CodedError:
    with pytest.raises(CodedError) as caught:
        made(*args, **given)
    assert caught.value.code.name == code, caught.value
    assert caught.value.message("zh-CN")
    return caught.value
