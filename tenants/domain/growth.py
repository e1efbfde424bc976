"""Adding many organisations at once: which rows of a list can be added, and why the others cannot.

Rows may name their parent by code, whether it stands in the tree already or in the same list, before or behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from backend.kit.errors import CodedError, not_found, rule
from backend.kit.ids import uuid7
from tenants.domain.organisations import (
    CODE_TAKEN,
    NewOrganisation,
    Organisation,
    checked_ownership,
    checked_profile,
)
from tenants.domain.tree import PARENT_ABSENT, WOULD_CYCLE, check_kinds

PARENT_REFUSED = rule(
    "PARENT_REFUSED",
    en="The row of its parent '{code}' was refused, so this one has nowhere to go.",
    zh="其上级 '{code}' 所在行已被拒绝，本行无处可挂。",
)

Refusal = Callable[[UUID | None], CodedError | None]


@dataclass(slots=True)
class Growth:
    """Judges rows against the tree as it stands: organisations by id and by code, and where the caller may add."""

    by_id: Mapping[UUID, Organisation]
    by_code: Mapping[str, Organisation]
    refusal: Refusal
    outcomes: dict[int, Organisation | CodedError] = field(default_factory=dict)
    rows: dict[int, NewOrganisation] = field(default_factory=dict)

    def judge(self, rows: Sequence[NewOrganisation]) -> list[Organisation | CodedError]:
        """For each row the organisation it becomes, or why it does not. The rows in `self.rows` are in canonical
        form and name their parent by id.
        """
        index: dict[str, int] = {}
        for i, row in enumerate(rows):
            try:
                self.rows[i] = self._canonical(row)
                if index.setdefault(self.rows[i].profile.code, i) != i:
                    self.outcomes[i] = CODE_TAKEN(path=("code",), code=self.rows[i].profile.code)
            except CodedError as error:
                self.outcomes[i] = error
        for i in range(len(rows)):
            self._settle(i, index)
        return [self.outcomes[i] for i in range(len(rows))]

    def _canonical(self, row: NewOrganisation) -> NewOrganisation:
        profile = checked_profile(row.profile)
        if profile.code in self.by_code:
            raise CODE_TAKEN(path=("code",), code=profile.code)
        return replace(row, profile=profile, ownership=checked_ownership(row.ownership))

    def _settle(self, start: int, index: Mapping[str, int]) -> None:
        """Decide a row, its parents in the list first (a chain may be as long as the list: no recursion)."""
        chain = [start]
        while chain[-1] not in self.outcomes:
            code = self.rows[chain[-1]].parent_code
            above = index.get(code) if code is not None and code not in self.by_code else None
            if above is None or above in self.outcomes:
                break
            if above in chain:
                self.outcomes[chain[-1]] = WOULD_CYCLE(path=("parentCode",))
                break
            chain.append(above)
        for i in reversed(chain):
            if i not in self.outcomes:
                self.outcomes[i] = self._outcome(i, index)

    def _outcome(self, i: int, index: Mapping[str, int]) -> Organisation | CodedError:
        row = self.rows[i]
        try:
            parent = self._parent(row, index)
            check_kinds(row.kind, parent)
            if parent is not None and not parent.present_throughout(row.entered_on, None):
                raise PARENT_ABSENT(path=("enteredOn",), since=row.entered_on)
        except CodedError as error:
            return error
        self.rows[i] = replace(row, parent_id=parent.id if parent else None)
        return born(row)

    def _parent(self, row: NewOrganisation, index: Mapping[str, int]) -> Organisation | None:
        if row.parent_id is None and row.parent_code is None:
            self._ask(None, "parentId")
            return None
        if row.parent_code is not None and row.parent_code not in self.by_code and row.parent_code in index:
            found = self.outcomes[index[row.parent_code]]
            if isinstance(found, CodedError):
                raise PARENT_REFUSED(path=("parentCode",), code=row.parent_code)
            return found
        path = "parentId" if row.parent_id else "parentCode"
        parent = self.by_id.get(row.parent_id) if row.parent_id else self.by_code.get(row.parent_code or "")
        if parent is None:
            raise not_found("Organisation", row.parent_id or row.parent_code or "", path)
        self._ask(parent.id, path)
        return parent

    def _ask(self, node: UUID | None, path: str) -> None:
        refused = self.refusal(node)
        if refused is not None:
            raise refused.at(path)


def born(row: NewOrganisation) -> Organisation:
    """The organisation a new row becomes."""
    p = row.profile
    return Organisation(
        id=uuid7(),
        kind=row.kind,
        code=p.code,
        name_zh=p.name_zh,
        name_en=p.name_en,
        credit_code=p.credit_code,
        address=p.address,
        division_code=p.division_code,
        industry_code=p.industry_code,
        founded_on=p.founded_on,
        business=p.business,
        capacity=p.capacity,
        entered_on=row.entered_on,
        entered_because=row.entered_because,
        left_on=None,
        left_because=None,
        version=1,
    )
