"""Coded errors as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backend.kit.errors import CodedError, code_named


@dataclass(frozen=True, slots=True)
class Refusal:
    """A coded error as plain values, so that a replay can tell it again."""

    code: str
    path: tuple[str, ...]
    params: Mapping[str, str | int | None]

    @classmethod
    def of(cls, error: CodedError) -> Refusal:
        params = {k: v if isinstance(v, int) or v is None else str(v) for k, v in error.params.items()}
        return cls(error.code.name, error.path, params)

    def error(self) -> CodedError:
        return code_named(self.code)(path=self.path, **self.params)
