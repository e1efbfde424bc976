"""Text as Chinese users type it: full-width digits and letters, ideographic spaces, stray marks."""

from __future__ import annotations

import unicodedata


def clean(text: str) -> str:
    """NFKC form, outer and repeated white space gone, no control characters.

    `"  ３＃　高炉 "` becomes `"3# 高炉"`; the punctuation of Chinese prose is kept by `tidy`.
    """
    if _plain(text):
        return " ".join(text.split())
    return " ".join(_printable(unicodedata.normalize("NFKC", text)).split())


def tidy(text: str) -> str:
    """For names and prose: NFC form, white space folded, Chinese punctuation left as written."""
    if _plain(text):
        return " ".join(text.split())
    return " ".join(_printable(unicodedata.normalize("NFC", text)).split())


def _plain(text: str) -> bool:
    """Visible ASCII and blanks: no form of Unicode changes it."""
    return text.isascii() and text.isprintable()


def _printable(text: str) -> str:
    return "".join(c if c.isspace() or unicodedata.category(c) not in {"Cc", "Cf"} else "" for c in text)
