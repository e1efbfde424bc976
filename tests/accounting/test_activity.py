"""Activity by the factor method, through the public door."""

from __future__ import annotations

from decimal import Decimal

from tests.fixtures.accounting import Works


async def test_natural_gas_month(works: Works) -> None:
    boiler = await works.fuel("天然气")
    record = await works.burn(boiler, "2024-05", "２１", "万立方米", evidence="发票 001")
    assert record["quantity"] == "21"
    (result,) = await works.results(boiler, 2024)
    assert result["gas"] == "CO2"
    assert Decimal(result["co2eT"]) == Decimal("454.653191916")
