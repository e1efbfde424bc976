"""Mass balance, formula (1) of 8.2.5.2: E = (Σ AD·C in − Σ AD·C out) × 44/12.

There is no oxidation rate: carbon that stays unburnt is a stream that leaves. What leaves is subtracted, and a negative
result is kept as it is.
"""

from __future__ import annotations

from typing import Final

from backend.accounting.domain.derivation import Step, StepKind, computed
from backend.accounting.domain.methods.fuels import CARBON_PER_HEAT, NCV
from backend.accounting.domain.methods.inputs import CARBON, Inputs
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import ANY_FLOW, MethodSpec, ParameterSpec, within
from backend.accounting.domain.sources import DirectKind
from backend.kit.quantity import GAS, MASS

_CONTENT: Final = ParameterSpec(
    "carbonContent",
    "C",
    "含碳量",
    "Carbon content",
    (within("tC/t", "0", "1"), within("tC/1e4Nm3", "0", "60")),
    StepKind.CARBON_CONTENT,
    per_unit=True,
    optional=True,
)


def _balance(inputs: Inputs) -> list[Step]:
    """C × 44/12; where C is not given, NCV × carbon per heat."""
    if inputs.has(_CONTENT.name) or not (inputs.context.stream.material or inputs.has("ncv")):
        return [inputs.step(_CONTENT.name), CARBON]
    parts = [inputs.step("ncv"), inputs.step("carbonPerHeat")]
    return [computed(StepKind.CARBON_CONTENT, f"tC/{inputs.unit}", "NCV*CC", *parts, symbol="C"), CARBON]


MASS_BALANCE: Final = MethodSpec(
    MethodKind.MASS_BALANCE,
    "物料平衡法",
    "Mass balance",
    "T/CIECCPA 061-2023 8.2.5.2, formula (1)",
    (_CONTENT, NCV, CARBON_PER_HEAT),
    _balance,
    units=(MASS, GAS),
    flows=ANY_FLOW,
    direct_kinds=frozenset({DirectKind.STATIONARY, DirectKind.MOBILE, DirectKind.PROCESS}),
)
