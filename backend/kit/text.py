"""Text as Chinese users type it: full-width digits and letters, ideographic spaces, stray marks."""

from __future__ import annotations

import unicodedata
from typing import Literal


def clean(text: str) -> str:
    """NFKC form, outer and repeated white space gone, no control characters.

    `"  ３＃　高炉 "` becomes `"3# 高炉"`; the punctuation of Chinese prose is kept by `tidy`.
    """
    return _formed(text, "NFKC")


def tidy(text: str) -> str:
    """For names and prose: NFC form, white space folded, Chinese punctuation left as written."""
    return _formed(text, "NFC")


def _formed(text: str, form: Literal["NFC", "NFKC"]) -> str:
    if text.isascii() and text.isprintable():
        # Visible ASCII and blanks: no form of Unicode changes it.
        return " ".join(text.split()) if " " in text else text
    return " ".join(_printable(unicodedata.normalize(form, text)).split())


def _printable(text: str) -> str:
    return "".join(c if c.isspace() or unicodedata.category(c) not in {"Cc", "Cf"} else "" for c in text)
