"""What a report consists of, whatever it is written as: tables, figures, examples, in sections."""

from dataclasses import dataclass, field
from typing import Any, Literal

Mark = Literal["better", "worse", ""]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a table."""

    text: str
    note: str = ""
    """Second, smaller line: an interval or an origin."""
    second_note: str = ""
    """Third line."""
    value: float | None = None
    """The number in full, where the text is a rounded one."""
    strong: bool = False
    code: bool = False
    """Whether the text is a reference or a command."""
    mark: Mark = ""
    why: str = ""
    """What the mark says, in words."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """Head of a column."""

    text: str
    note: str = ""
    number: bool = True


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under a head; the first column names the row."""

    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    source: str = ""
    """Reference of the artifact that all its numbers come from, unless rows name their own."""
    notes: list[str] = field(default_factory=list)
    name: str = ""
    """Id inside the page."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A drawing and the numbers in it."""

    title: str
    svg: str
    """Markup made by this package alone: it holds no text of others that is not escaped."""
    table: Table | None = None
    """The same as numbers."""
    in_table: str = ""
    """Name of another table of the report that holds the numbers."""
    source: str = ""
    notes: list[str] = field(default_factory=list)
    legend: str = ""
    """How to read the drawing: said only where it is shown."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A drawing that was made elsewhere; shown as an image, so that nothing in it can run."""

    title: str
    svg: str
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class HistoryItem:
    """One item that the prompt showed, and how far it moved the score."""

    title: str
    liked: bool
    influence: float | None
    share: float
    """-1..1, of the strongest in the history."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One explained pair."""

    title: str
    user: str
    answer: str
    chance: str
    """Probability of a like, in per cent."""
    chance_of: str
    """What that probability is."""
    reason: str
    unread: list[str]
    """Counts, shares and titles in the reason that the model did not read."""
    reference: str
    evidence: list[str]
    route: str
    weights: list[float]
    history: list[HistoryItem]
    source: str


Block = Table | Picture | Image | Example


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report with a heading."""

    name: str
    """Id inside the page."""
    title: str
    lead: list[str]
    """Sentences under the heading."""
    blocks: list[Block]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All of it."""

    title: str
    facts: list[tuple[str, str]]
    """What stands under the title: name, value."""
    findings: list[str]
    sections: list[Section]
    command: str


def kind_of(block: Block) -> str:
    """Return the name by which a template knows a block: table, picture, image or example."""
    return type(block).__name__.lower()


def row_of(*cells: Any) -> list[Cell]:
    """Return cells of texts; what is a Cell already stays as it is."""
    return [one if isinstance(one, Cell) else Cell(text=str(one)) for one in cells]
