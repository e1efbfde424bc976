"""What is said in Chinese is said in Chinese: explanations, the library's remarks, the texts of errors."""

from __future__ import annotations

import csv
import re
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.accounting.domain.chinese import NAMES
from backend.accounting.domain.library_words import remark
from backend.accounting.domain.methods.registry import METHODS
from backend.capabilities import modules
from backend.kit.errors import published_codes
from tests.accounting.test_explain_causes import RECORDS
from tests.accounting.test_inventories import Office
from tests.accounting.test_material_batches import batch, coal, record
from tests.accounting.test_meters import calibrate, good, instrument, meter, settle
from tests.accounting.test_stacks import Stack, hours
from tests.fixtures.accounting import Works
from tests.fixtures.explain import NODE
from tests.fixtures.measurements import record_stocks, stock, stream_of
from tests.fixtures.world import World

LIBRARY = Path(__file__).parents[2] / "backend" / "accounting" / "library"
UNITS = {"kcal", "kPa", "kWh", "MWh", "kg", "km", "Nm", "tCO", "tkm", "kgCO", "tC", "GJ", "TJ", "kJ"}
# Names of programs, headers, formats and arguments that are the same in every language.
FIXED = {
    "https",
    "http",
    "tanheng",
    "keys",
    "ensure",
    "Authorization",
    "Bearer",
    "Tenant",
    "csv",
    "first",
    "ncv",
    "evidence",
    "purpose",
    "redis",
    "rediss",
    "amqp",
    "amqps",
    "PostgreSQL",
}
WORD = re.compile(r"[A-Za-z]*[a-z]{3,}[A-Za-z]*")
ENGLISH_NAMES = {word for names in NAMES.values() for word in names if len(word) > 3}


def strays(text: str) -> set[str]:
    """English words, and members of enumerations that have a Chinese name; ids, digests and codes are none."""
    text = re.sub(r"sha256 [0-9a-f]{64}|@[0-9a-f]{7}|CETS-[\w.-]+", "", text)
    found = {w for w in WORD.findall(text) if w not in UNITS | FIXED}
    return found | {w for w in re.findall(r"[A-Z][A-Z_]{3,}", text) if w in ENGLISH_NAMES}


@pytest.mark.parametrize("kind", NAMES, ids=lambda k: k.__name__)
def test_every_member_has_a_chinese_name(kind: Any) -> None:
    assert set(NAMES[kind]) == {m.value for m in kind}
    assert not [name for name in NAMES[kind].values() if re.search("[A-Za-z]", name.replace("SF6", ""))]


def _remarks() -> Iterator[str]:
    for file in sorted(LIBRARY.glob("*.csv")):
        with file.open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                yield from (row[name] for name in ("basis", "source") if row.get(name))
    for spec in METHODS.values():
        yield from (s for p in spec.parameters if (s := getattr(p.default, "source", None)))


def test_every_remark_of_the_library_is_said_in_chinese() -> None:
    found = {text: strays(remark(text)) for text in set(_remarks())}
    assert {text: words for text, words in found.items() if words} == {}


def test_texts_of_errors_hold_no_english_but_names_of_the_schema() -> None:
    list(modules("graphql"))
    schema = (Path(__file__).parents[2] / "schema" / "schema.graphql").read_text("utf-8")
    names = set(re.findall(r"\w+", schema))
    wrong = {}
    for code in published_codes():
        text = "".join(literal for literal, *_ in string.Formatter().parse(code.zh))
        words = {w for w in WORD.findall(text) if w not in UNITS | FIXED and not _is_named(w, names)}
        if words and not code.name.startswith("TEST_"):
            wrong[code.name] = words
    assert wrong == {}


def _is_named(word: str, names: set[str]) -> bool:
    """A field, argument or mutation: written in camel case, so that it is no word of a sentence."""
    return word in names and any(c.isupper() for c in word)


def texts(node: Any) -> Iterator[str]:
    """Labels and details of everything in an answer."""
    if isinstance(node, dict):
        yield from (node[name] for name in ("label", "detail") if name in node)
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


async def english(works: Works, subject: dict[str, Any]) -> set[str]:
    """Stray words in an explanation, two levels of children with their grounds."""
    answer = await replace(works.engineer, locale="zh-CN").ask(RECORDS, s=subject, first=800)
    found = list(texts(answer["explain"]))
    assert len(found) > 3
    return set().union(*map(strays, found))


async def test_a_ledger_row_meters_and_batches_are_explained_in_chinese(works: Works) -> None:
    source = await works.fuel("无烟煤")
    await record_stocks(works, stock(await stream_of(works, source), "2024-03", opening="1", purchased="2", sold="1"))
    assert await english(works, {"source": {"sourceId": source, "year": 2024}}) == set()
    metered = await works.fuel("柴油")
    stream, key = await stream_of(works, metered), await instrument(works)
    await calibrate(works, key, "2024-01-16", "2026-12-31")
    device = await meter(works, stream, key, multiplier="10")
    await good(works, device, ("2024-01-20", "60"), ("2024-02-10", "120"))
    await settle(works, stream, "2024-01")
    assert await english(works, {"source": {"sourceId": metered, "year": 2024}}) == set()
    burnt, stream = await coal(works, ("2024-01", "1300"))
    await record(works, batch(stream, "2024-01-03", "1000", "B1", NCV="22.1 GJ/t", laboratory="化验室"))
    given = {"streamId": stream, "month": "2024-01", "parameter": "NCV", "reason": "化验"}
    await works.engineer.do("applyQualityMeans", given, "mean { value }")
    assert await english(works, {"source": {"sourceId": burnt, "year": 2024}}) == set()


async def test_a_stack_is_explained_in_chinese(works: Works) -> None:
    stack = await Stack.create(works)
    await stack.record("2024-02", hours(29, {5, 100, 101}, flow="99999.9", concentration="199.7"))
    # The code of the stream is the tenant's own.
    assert await english(works, {"source": {"sourceId": stack.source, "year": 2024}}) == {"gas"}


async def test_declared_results_and_inventories_are_explained_in_chinese(world: World) -> None:
    office = await Office.create(world)
    source = await office.works.source("CEMS")
    await office.works.declare(sourceId=source, firstMonth="2024-01", months=2, massT="5.5", evidence="报告 1")
    power = await office.works.source(
        "POWER", {"code": "a", "material": "外购电力"}, category="IMPORTED_ENERGY", directKind=None
    )
    await office.works.burn(power, "2024-01", "1", "MWh", evidence="发票")
    key = await office.open()
    for step, who in zip(("submitInventory", "confirmInventory"), office.people, strict=False):
        await who.do(step, {"id": key, "note": "完成"}, "inventory { id }")
    works = office.works
    assert await english(works, {"inventory": key}) == set()
    assert await english(works, {"total": {"organisationId": works.site_id, "year": 2024}}) == set()
    for each in (source, power, office.boiler):
        assert await english(works, {"source": {"sourceId": each, "year": 2024}}) == set()
    query = f"query G($s: ExplainSubject!) {{ explain(subject: $s) {{ grounds {{ {NODE} grounds {{ {NODE} }} }} }} }}"
    answer = await replace(works.engineer, locale="zh-CN").ask(query, s={"inventory": key})
    assert {g["kind"] for i in answer["explain"]["grounds"] for g in i["grounds"]} == {"SIGNATURE"}
    assert set().union(*map(strays, texts(answer["explain"]))) == set()
