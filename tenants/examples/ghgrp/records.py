"""Large emitters of the US EPA's reporting programme as plain values, with owners read out of one column of text.

A facility is taken whatever its owners look like; what does not add up is reported, per row and kind:

- SHARE_MISSING "US GOVERNMENT (%)": a sole owner has all of it; of several owners the one without a share has what the
  others leave (0 when two are without one);
- OWNER_TWICE: its shares are added;
- SHARES_NOT_100: the shares stay as published, nothing is scaled; above 100 no total over owners can be right;
- NAME_VARIANT: an owner is written in two ways that differ in case, punctuation or legal form only. The first way is
  its name, and it is one owner.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from tenants.examples.rows import Row, Trap, UnreadableRow, read_rows

YEAR: Final = 2022
_OWNER: Final = re.compile(r"(?P<name>.*\S)\s*\((?P<share>\d{1,3}(\.\d+)?)?\s*%\)")
_FORMS: Final = re.compile(r"\b(INC|INCORPORATED|LLC|LP|LLP|LTD|LIMITED|CORP|CORPORATION|CO|COMPANY|PLC|THE)\b")
_WHOLE: Final = Decimal(100)


@dataclass(frozen=True, slots=True)
class Owned:
    """A share (0 to 1) of a facility, and its owner as named there."""

    owner: str
    share: Decimal


@dataclass(frozen=True, slots=True)
class Facility:
    """A reporting facility: t CO2e of the year (GWP of AR4), its owners in the order of the record."""

    facility_id: str
    name: str
    place: str
    co2e_t: int
    owners: tuple[Owned, ...]
    line: int

    @property
    def largest(self) -> Owned:
        """The owner under which it stands; of equals the one named first."""
        return max(self.owners, key=lambda o: o.share)


@dataclass(frozen=True, slots=True)
class Records:
    facilities: tuple[Facility, ...]
    traps: tuple[Trap, ...]

    @property
    def kinds(self) -> Counter[str]:
        """How many rows were reported, by kind."""
        return Counter(trap.code for trap in self.traps)


def read_records(folder: Path) -> Records:
    """Read `facilities_2022.csv` of the folder."""
    path = folder / f"facilities_{YEAR}.csv"
    traps: list[Trap] = []
    columns = "year facility_id facility_name city state parent_companies co2e_t"
    rows = read_rows(path, columns, _facility, traps, key=lambda pair: pair[0].facility_id)
    names: dict[str, str] = {}
    facilities = []
    for facility, told in rows:
        traps += [Trap(path.name, facility.line, code, message) for code, message in told]
        owners = []
        for owned in facility.owners:
            known = names.setdefault(folded(owned.owner), owned.owner)
            if known != owned.owner:
                traps.append(Trap(path.name, facility.line, "NAME_VARIANT", f"{owned.owner!r} is taken for {known!r}"))
            owners.append(Owned(known, owned.share))
        facilities.append(_owned_by(facility, owners))
    return Records(tuple(facilities), tuple(traps))


def folded(name: str) -> str:
    """What variants of a name have in common: no case, no punctuation, no legal form. Never empty."""
    plain = " ".join(re.sub(r"[^A-Z0-9]+", " ", name.upper().replace("&", " AND ")).split())
    return " ".join(_FORMS.sub(" ", plain).split()) or plain


def read_owners(written: str) -> tuple[list[Owned], list[tuple[str, str]]]:
    """The owners of "A (60%); B (40%)", and what is wrong with them: code and message.

    Errors: UnreadableRow where a part names no owner.
    """
    shares: dict[str, Decimal | None] = {}
    told: list[tuple[str, str]] = []
    for part in filter(None, (p.strip() for p in written.split(";"))):
        found = _OWNER.fullmatch(part)
        if found is None:
            raise UnreadableRow("NO_OWNER", f"{part!r} must be an owner and a share, such as 'A (60%)'")
        name, share = " ".join(found["name"].split()), found["share"]
        given = Decimal(share) if share else None
        if name in shares:
            told.append(("OWNER_TWICE", f"{name} stands twice; its shares are added"))
            given = (shares[name] or Decimal(0)) + (given or Decimal(0))
        shares[name] = given
    if not shares:
        raise UnreadableRow("NO_OWNER", "no owner is named")
    told += _missing(shares)
    total = sum((s or Decimal(0) for s in shares.values()), Decimal(0))
    if total != _WHOLE:
        told.append(("SHARES_NOT_100", f"the shares sum to {total} %"))
    return [Owned(name, (share or Decimal(0)) / _WHOLE) for name, share in shares.items()], told


def _missing(shares: dict[str, Decimal | None]) -> Iterator[tuple[str, str]]:
    without = [name for name, share in shares.items() if share is None]
    left = max(_WHOLE - sum((s for s in shares.values() if s is not None), Decimal(0)), Decimal(0))
    for name in without:
        shares[name] = left if len(without) == 1 else Decimal(0)
        yield "SHARE_MISSING", f"{name} has no share; {shares[name]} % is taken"


def _facility(row: Row) -> tuple[Facility, list[tuple[str, str]]]:
    owners, told = read_owners(row.text("parent_companies"))
    place = f"{row.optional('city')}, {row.optional('state')}"
    facts = row.text("facility_id"), row.text("facility_name"), place, row.whole_t("co2e_t")
    return Facility(*facts, tuple(owners), row.line), told


def _owned_by(facility: Facility, owners: Sequence[Owned]) -> Facility:
    """The same facility; owners that are one owner under variants of a name are one."""
    shares: dict[str, Decimal] = {}
    for owned in owners:
        shares[owned.owner] = shares.get(owned.owner, Decimal(0)) + owned.share
    facts = facility.facility_id, facility.name, facility.place, facility.co2e_t
    return Facility(*facts, tuple(Owned(*pair) for pair in shares.items()), facility.line)
