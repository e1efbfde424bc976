"""The XML of a workbook as it streams by: elements, shared texts, rows of cells. Nothing is held but one row.

A third of the time of a general library goes to objects per cell that nobody looks at: rows come out as texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import IO, Any, Final
from xml.parsers import expat

from backend.accounting.files.headers import FORMULA

_CHUNK: Final = 1 << 16
_LAST_ROW: Final = 1_048_576
_LAST_COLUMN: Final = 16_384
# What a spreadsheet shows: digits behind the fifteenth are noise of binary fractions.
_SHOWN: Final = Context(prec=15)

Attributes = Mapping[str, str]


class BrokenSheetError(Exception):
    """The XML is not what a spreadsheet writes."""


def elements(file: IO[bytes], wanted: Sequence[str]) -> Iterator[tuple[str, Attributes]]:
    """The start tags of these local names, with their attributes by local name."""
    met: list[tuple[str, Attributes]] = []
    parser = _parser()

    def start(name: str, attributes: dict[str, str]) -> None:
        if (plain := _local(name)) in wanted:
            met.append((plain, {_local(k): v for k, v in attributes.items()}))

    parser.StartElementHandler = start
    for _ in _fed(parser, file):
        yield from met
        met.clear()


def shared_texts(file: IO[bytes]) -> list[str]:
    """The texts that cells point to by number; what is only a reading aid (furigana, pinyin) is left out."""
    texts: list[str] = []
    pieces: list[str] = []
    state = _Text()

    def start(name: str, _attributes: dict[str, str]) -> None:
        state.start(_local(name))

    def end(name: str) -> None:
        plain = _local(name)
        state.end(plain)
        if plain == "si":
            texts.append("".join(pieces))
            pieces.clear()

    parser = _parser()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = lambda data: pieces.append(data) if state.open else None
    for _ in _fed(parser, file):
        pass
    return texts


@dataclass(slots=True)
class _Text:
    """Whether character data belongs to a text."""

    open: bool = False
    aside: bool = False

    def start(self, name: str) -> None:
        if name == "rPh":
            self.aside = True
        self.open = name == "t" and not self.aside

    def end(self, name: str) -> None:
        self.open = False
        if name == "rPh":
            self.aside = False


@dataclass(slots=True)
class Sheet:
    """A sheet while it is read. `merged` is complete when its rows have been taken: it stands behind them."""

    texts: Sequence[str]
    dates: frozenset[int]
    """The styles that show a number as a date."""
    epoch: date
    merged: list[str] = field(default_factory=list)

    def rows(self, file: IO[bytes]) -> Iterator[tuple[int, dict[int, str]]]:
        """Row numbers, and what each cell says by the position of its column. Errors: BrokenSheetError."""
        reader = _Rows(self)
        parser = _parser()
        parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
        parser.CharacterDataHandler = reader.data
        for _ in _fed(parser, file):
            yield from reader.done
            reader.done.clear()

    def said(self, kind: str, style: str, value: str) -> str:
        """A cell as somebody would write it."""
        if kind == "s":
            return self.texts[int(value)] if value else ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind not in {"n", ""} or not value:
            return value
        if style and int(style) in self.dates:
            return f"{self.epoch + timedelta(days=int(float(value)))}"
        return value if len(value) < 16 and value.lstrip("-").replace(".", "", 1).isdecimal() else _shown(value)


def _shown(value: str) -> str:
    return f"{_SHOWN.create_decimal(Decimal(value)).normalize():f}"


class _Rows:
    """Handlers of one sheet."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.done: list[tuple[int, dict[int, str]]] = []
        self._text = _Text()
        self._pieces: list[str] = []
        self._row, self._cells, self._column = 0, {}, -1  # type: tuple[int, dict[int, str], int]
        self._kind = self._style = ""
        self._formula: list[str] | None = None
        self._in_formula = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if ":" in name:
            name = _local(name)
        if name == "c":
            self._cell(attributes)
        elif name == "v":
            self._text.open = True
        elif name == "row":
            self._begin(attributes)
        elif name == "f":
            self._formula, self._in_formula = [], True
        elif name == "mergeCell":
            self.sheet.merged.append(attributes.get("ref", "?"))
        else:
            self._text.start(name)

    def _begin(self, attributes: dict[str, str]) -> None:
        row = int(attributes.get("r") or self._row + 1)
        if not self._row < row <= _LAST_ROW:
            message = f"row {row} behind row {self._row}"
            raise BrokenSheetError(message)
        self._row, self._column, self._cells = row, -1, {}

    def _cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        self._column = _position(reference.rstrip("0123456789")) if reference else self._column + 1
        self._kind, self._style = attributes.get("t", ""), attributes.get("s", "")
        self._formula = None

    def data(self, data: str) -> None:
        if self._text.open:
            self._pieces.append(data)
        elif self._in_formula and self._formula is not None:
            self._formula.append(data)

    def end(self, name: str) -> None:
        if ":" in name:
            name = _local(name)
        if name == "c":
            value = "".join(self._pieces)
            self._pieces.clear()
            if self._formula is None:
                said = self.sheet.said(self._kind, self._style, value)
            else:  # a formula that repeats its neighbour's has no text of its own
                said = f"{FORMULA}{''.join(self._formula) or value}"
            if said:
                self._cells[self._column] = said
        elif name == "row":
            self.done.append((self._row, self._cells))
        elif name == "f":
            self._in_formula = False
        else:
            self._text.end(name)


_POSITIONS: Final[dict[str, int]] = {}


def _position(letters: str) -> int:
    """A is 0, Z is 25, AA is 26."""
    if letters not in _POSITIONS:
        position = 0
        for letter in letters[:4]:
            position = position * 26 + ord(letter) - ord("A") + 1
        if not letters.isascii() or not letters.isupper() or not 0 < position <= _LAST_COLUMN:
            message = f"column {letters[:10]}"
            raise BrokenSheetError(message)
        _POSITIONS[letters] = position - 1
    return _POSITIONS[letters]


def _local(name: str) -> str:
    """Some programs write x:row for row."""
    return name[name.rfind(":") + 1 :]


def _parser() -> Any:
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        message = "a document type declaration"
        raise BrokenSheetError(message)

    # Entities of one's own are how a small file becomes a large one.
    parser.StartDoctypeDeclHandler = refuse
    return parser


def _fed(parser: Any, file: IO[bytes]) -> Iterator[None]:
    """Errors: BrokenSheetError."""
    read: Callable[[int], bytes] = file.read
    try:
        while chunk := read(_CHUNK):
            parser.Parse(chunk, False)
            yield
        parser.Parse(b"", True)
        yield
    except (expat.ExpatError, ValueError, IndexError, OverflowError, InvalidOperation) as error:
        raise BrokenSheetError(str(error)) from error
