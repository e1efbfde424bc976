"""Errors name things as their readers know them: by the ids of the API, and by words of the reader's language."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from graphql import GraphQLObjectType

import backend
import tenants
from backend.kit.errors import Code
from backend.kit.words import enumerations_in_chinese, thing_in_chinese, word_in_chinese
from schema.build import build_schema, core

ROOT = Path(__file__).parents[2]
SCHEMA = core(build_schema())
# What makes the id of the API out of a key.
NAMES_AN_ID = {"global_id", "to_id"}
ENGLISH = re.compile(r"[A-Za-z]*[a-z]{3,}")
# Codes whose `key` is the caller's own.
HIS_KEYS = {"IDEMPOTENCY_KEY_REUSED", "BAD_IDEMPOTENCY_KEY", "SINK_RECORDED"}
# Digests, symbols and names of inputs that are written alike in both languages; messages of other programs.
ALIKE = {"sha256", "NCV_ar", "as_received"}


@dataclass(frozen=True)
class Raised:
    """An error as the code makes it: where, of which code, and what its texts are given."""

    where: str
    code: Code
    given: dict[str, ast.expr]


def _modules() -> Iterator[tuple[Path, ModuleType]]:
    for package in (backend, tenants):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            yield Path(str(module.__file__)), module


@cache
def raised() -> tuple[Raised, ...]:
    """Every call of a code in the house."""
    return tuple(found for path, module in _modules() for found in _raised(path, module))


def _raised(path: Path, module: ModuleType) -> Iterator[Raised]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            code = _code(node.func, module)
            if code is not None:
                given = {k.arg: k.value for k in node.keywords if k.arg not in {None, "path"}}
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                yield Raised(where, code, {name: value for name, value in given.items() if name})


def _code(called: ast.expr, module: ModuleType) -> Code | None:
    match called:
        case ast.Name(id=name):
            found = getattr(module, name, None)
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            found = getattr(getattr(module, owner, None), name, None)
        case _:
            found = None
    return found if isinstance(found, Code) else None


def test_the_errors_of_the_house_are_seen() -> None:
    seen = raised()
    assert len(seen) > 400
    assert len({r.code.name for r in seen}) > 300


def test_one_function_says_that_something_is_absent() -> None:
    places = {r.where.partition(":")[0] for r in raised() if r.code.name == "NOT_FOUND"}
    assert places == {"backend/kit/errors.py"}


def test_what_is_absent_is_named_by_its_key_itself() -> None:
    """A key made text would be shown as it is; `not_found` makes the id of the API of it."""
    texts = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, _ in _modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "not_found"
        if "str(" in ast.unparse(node.args[1])
    ]
    assert texts == []


def _bare_keys(value: ast.AST) -> Iterator[str]:
    """Keys of the database in an expression, outside of what makes ids of them."""
    match value:
        case ast.Call(func=ast.Name(id=name)) if name in NAMES_AN_ID:
            return
        case ast.Name(id=name) | ast.Attribute(attr=name) if re.search(r"(^|_)id$|^key$", name):
            yield name
        case ast.Subscript(value=inner):
            yield from _bare_keys(inner)
        case _:
            for child in ast.iter_child_nodes(value):
                yield from _bare_keys(child)


def test_no_error_is_given_a_key_of_the_database() -> None:
    bare = {
        f"{r.where} {r.code.name} {name}": found
        for r in raised()
        if r.code.name not in HIS_KEYS
        for name, value in r.given.items()
        if (found := list(_bare_keys(value)))
    }
    assert bare == {}


def _english(value: ast.AST) -> Iterator[str]:
    """English words that are written into an expression."""
    match value:
        case ast.Call(func=ast.Name(id=name)) if name in NAMES_AN_ID:
            return
        case ast.Constant(value=str(written)) if written not in ALIKE:
            yield from ENGLISH.findall(written)
        case _:
            for child in ast.iter_child_nodes(value):
                yield from _english(child)


def _asked(code: Code) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(code.zh) if name}


def test_words_given_in_english_are_given_in_chinese_too() -> None:
    wrong = {}
    for r in raised():
        asked = _asked(r.code)
        for name, value in r.given.items():
            shown = {name, f"{name}_zh"} & asked
            if name.endswith("_zh") or not shown or f"{name}_zh" in r.given or not list(_english(value)):
                continue
            declared = f"{name}_zh" in asked or isinstance(value, ast.Tuple)
            literal = ast.unparse(value).strip("'\"(),")
            if not (declared and word_in_chinese(literal) != literal):
                wrong[f"{r.where} {r.code.name}"] = f"{name}={ast.unparse(value)}"
    assert wrong == {}


def test_a_worker_knows_the_words_of_what_it_refuses() -> None:
    """It reads the jobs alone, and an error takes its words when it is raised."""
    program = (
        "from backend.capabilities import modules; from backend.kit.words import *; list(modules('jobs'));"
        "print(*[k.__name__ for k in enumerations_in_chinese()], thing_in_chinese('EmissionSource'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT)
    words = done.stdout.decode().split()
    assert {"Category", "Method", "TransferKind", "AccountState", "JobState", "排放源"} <= set(words)


NODES = sorted(
    name
    for name, kind in SCHEMA.type_map.items()
    if isinstance(kind, GraphQLObjectType) and "Node" in {i.name for i in kind.interfaces}
)


@pytest.mark.parametrize("name", NODES)
def test_every_type_has_a_chinese_name(name: str) -> None:
    assert re.fullmatch(r"[一-鿿]+", thing_in_chinese(name))


@pytest.mark.parametrize("kind", enumerations_in_chinese(), ids=lambda k: k.__name__)
def test_enumerations_are_named_wholly(kind: Any) -> None:
    names = enumerations_in_chinese()[kind]
    assert set(names) == {str(member) for member in kind}
    assert [name for name in names.values() if ENGLISH.search(name)] == []
