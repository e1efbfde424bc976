"""Identifiers that grow, and text as Chinese users type it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from backend.kit.ids import uuid7
from backend.kit.text import clean, tidy


def test_uuid7_grows_and_never_repeats() -> None:
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: [uuid7() for _ in range(2_000)], range(8)))
    everything = [u for batch in batches for u in batch]
    assert len(set(everything)) == len(everything)
    assert all(batch == sorted(batch) for batch in batches)


def test_uuid7_carries_its_time() -> None:
    made = uuid7()
    assert made.version == 7
    assert abs((made.int >> 80) - time.time() * 1000) < 1_000


def test_clean_folds_width_and_space() -> None:
    assert clean("  ３＃　高炉 ") == "3# 高炉"
    assert clean("ＣＥＡ\u200b－２０２４") == "CEA-2024"


def test_tidy_keeps_chinese_punctuation() -> None:
    assert tidy(" 华东钢铁（集团）\t有限公司 ") == "华东钢铁（集团） 有限公司"
