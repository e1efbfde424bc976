"""Identifying codes of Chinese organisations, checked by their standards."""

from __future__ import annotations

import re
from typing import Final

from backend.kit.errors import invalid
from backend.kit.text import clean

BAD_CREDIT_CODE = invalid(
    "BAD_CREDIT_CODE",
    en="'{code}' is not a unified social credit code (GB 32100): {problem}.",
    zh="'{code}' 不是有效的统一社会信用代码（GB 32100）：{problem_zh}。",
)
BAD_DIVISION_CODE = invalid(
    "BAD_DIVISION_CODE",
    en="'{code}' is not an administrative division code (GB/T 2260): six digits, first two a province.",
    zh="'{code}' 不是有效的行政区划代码（GB/T 2260）：应为六位数字，前两位为省级代码。",
)
BAD_INDUSTRY_CODE = invalid(
    "BAD_INDUSTRY_CODE",
    en="'{code}' is not an industry code (GB/T 4754): two to four digits, a section letter may precede.",
    zh="'{code}' 不是有效的国民经济行业代码（GB/T 4754）：应为两至四位数字，可加门类字母。",
)

CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS: Final = tuple(pow(3, i, 31) for i in range(17))


def credit_code(written: str) -> str:
    """A unified social credit code in its canonical form. Errors: BAD_CREDIT_CODE. Source: GB 32100-2015, 5.6."""
    code = clean(written).upper().replace(" ", "")
    path = ("creditCode",)
    if len(code) != 18:
        raise BAD_CREDIT_CODE(path=path, code=code, problem="it must have 18 characters", problem_zh="应为 18 位")
    if any(c not in CREDIT_ALPHABET for c in code):
        raise BAD_CREDIT_CODE(
            path=path, code=code, problem="I, O, S, V, Z do not occur in it", problem_zh="不含字母 I、O、S、V、Z"
        )
    check = check_character(code[:17])
    if code[17] != check:
        raise BAD_CREDIT_CODE(
            path=path, code=code, problem=f"its last character should be {check}", problem_zh=f"校验位应为 {check}"
        )
    return code


def check_character(first_17: str) -> str:
    """The 18th character of a credit code, from the 17 before it (weights 3^i modulo 31)."""
    weighed = sum(CREDIT_ALPHABET.index(c) * w for c, w in zip(first_17, _CREDIT_WEIGHTS, strict=True))
    return CREDIT_ALPHABET[-weighed % 31]


def division_code(written: str) -> str:
    """An administrative division code of six digits. Errors: BAD_DIVISION_CODE. Source: GB/T 2260."""
    code = clean(written)
    if not re.fullmatch(r"(1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[12])[0-9]{4}", code):
        raise BAD_DIVISION_CODE(path=("divisionCode",), code=code)
    return code


def industry_code(written: str) -> str:
    """An industry code such as C3120 or 3120. Errors: BAD_INDUSTRY_CODE. Source: GB/T 4754-2017."""
    code = clean(written).upper()
    if not re.fullmatch(r"[A-T]?[0-9]{2,4}", code):
        raise BAD_INDUSTRY_CODE(path=("industryCode",), code=code)
    return code
