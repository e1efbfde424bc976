"""The nouns of the slice that others use. All of it is pure."""

from tenants.domain.boundaries import (
    AllowancePolicy,
    BoundaryCategory,
    BoundaryEntry,
    BoundaryGas,
    BoundaryKey,
    BoundaryOrigin,
    BoundarySetting,
    ConsolidationApproach,
    EffectiveBoundary,
    EvidenceKind,
    GwpSet,
)
from tenants.domain.organisations import (
    EnteringReason,
    LeavingReason,
    NewOrganisation,
    Organisation,
    OrganisationKind,
    Ownership,
    Profile,
)

__all__ = [
    "AllowancePolicy",
    "BoundaryCategory",
    "BoundaryEntry",
    "BoundaryGas",
    "BoundaryKey",
    "BoundaryOrigin",
    "BoundarySetting",
    "ConsolidationApproach",
    "EffectiveBoundary",
    "EnteringReason",
    "EvidenceKind",
    "GwpSet",
    "LeavingReason",
    "NewOrganisation",
    "Organisation",
    "OrganisationKind",
    "Ownership",
    "Profile",
]
