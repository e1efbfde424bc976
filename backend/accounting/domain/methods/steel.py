"""Steel: carbonates, electrodes and carbonaceous materials that are bought, and the carbon that leaves in products
(MEE guide CETS-AG-03.01, formula (1), and the older GB/T 32151.5 by its factor set).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from backend.accounting.domain.derivation import Step, StepKind
from backend.accounting.domain.factors import Parameter
from backend.accounting.domain.methods.inputs import CARBON, Inputs
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import LEAVING_ONLY, FromLibrary, MethodSpec, ParameterSpec, within
from backend.accounting.domain.sources import DirectKind
from backend.kit.errors import rule
from backend.kit.quantity import MASS

_MEE: Final = "CETS-AG-03.01-V01-2024 (1), A.2"
LEGACY_SET: Final = "GBT-32151.5-2015"

NOT_SUBTRACTED = rule(
    "PRODUCT_NOT_SUBTRACTED",
    en="The guide subtracts the carbon of {known} only; '{material}' is not accounted. Give a carbon content to "
    "account it by mass balance.",
    zh="该指南仅扣减 {known} 的隐含碳；'{material}' 不予核算。如需核算，请给出含碳量并采用物料平衡法。",
)


class Counted(StrEnum):
    """How much of a product is subtracted."""

    ALL_OUTPUT = "ALL_OUTPUT"
    """All that is produced (全部产量)."""
    SOLD = "SOLD"
    """What is sold, or processed further outside the boundary (外销量)."""


COUNTED: Final[Mapping[str, Counted]] = {
    "CRUDE_STEEL": Counted.ALL_OUTPUT,
    "PIG_IRON": Counted.SOLD,
    "COAL_TAR": Counted.SOLD,
    "CRUDE_BENZOL": Counted.SOLD,
}
"""Which quantity of a product the stream records. Slag is not subtracted. Source: steel guide, formula (1)."""

# GB/T 32151.5-2015: carbon of crude steel 0.0042 tC/t; recalled and seen in public code, not read in the text.
_LEGACY_CRUDE_STEEL: Final = Step(
    StepKind.EMBEDDED_CARBON, "0.0154", "tCO2/t", symbol="EF", source="GB/T 32151.5-2015 (secondary, unverified)"
)

_FACTOR: Final = ParameterSpec(
    "factor",
    "EF",
    "排放因子",
    "Emission factor",
    (within("tCO2/t", "0", "4"),),
    StepKind.EMISSION_FACTOR,
    FromLibrary(Parameter.EMISSION_FACTOR),
)
STEEL_MATERIAL: Final = MethodSpec(
    MethodKind.STEEL_MATERIAL,
    "钢铁含碳原料与熔剂",
    "Materials of steelmaking",
    _MEE,
    (_FACTOR,),
    lambda inputs: [inputs.step("factor")],
    units=(MASS,),
    direct_kinds=frozenset({DirectKind.PROCESS}),
)


def _embedded(inputs: Inputs) -> list[Step]:
    """By its analysed carbon, else the value of the guide. Errors: PRODUCT_NOT_SUBTRACTED."""
    if inputs.has("carbonContent"):
        return [inputs.step("carbonContent"), CARBON]
    stream = inputs.context.stream
    if inputs.has("factor") or stream.material is None:
        return [inputs.step("factor")]
    if stream.material not in COUNTED:
        raise NOT_SUBTRACTED(path=("material",), known=", ".join(COUNTED), material=stream.material)
    if stream.factor_set == LEGACY_SET and stream.material == "CRUDE_STEEL":
        return [_LEGACY_CRUDE_STEEL]
    return [inputs.step("factor")]


EMBEDDED_CARBON: Final = MethodSpec(
    MethodKind.EMBEDDED_CARBON,
    "产品隐含碳扣减",
    "Carbon embedded in products",
    _MEE,
    (
        ParameterSpec(
            "factor",
            "EF",
            "产品隐含碳",
            "Embedded carbon",
            (within("tCO2/t", "0", "4"),),
            StepKind.EMBEDDED_CARBON,
            FromLibrary(Parameter.EMBEDDED_CARBON),
        ),
        ParameterSpec(
            "carbonContent",
            "C",
            "产品含碳量",
            "Carbon content of the product",
            (within("tC/t", "0", "1"),),
            StepKind.CARBON_CONTENT,
            optional=True,
        ),
    ),
    _embedded,
    units=(MASS,),
    flows=LEAVING_ONLY,
    direct_kinds=frozenset({DirectKind.PROCESS, DirectKind.STATIONARY}),
)
METHODS: Final = (STEEL_MATERIAL, EMBEDDED_CARBON)
