"""What a reader gives: files, and SQL expressions over their columns."""

from dataclasses import dataclass

from core.data.readers.files import TableFile


@dataclass(frozen=True, kw_only=True)
class ItemSource:
    """Where items come from; all expressions are SQL over the file's columns."""

    file: TableFile
    item: str
    """The item's id, a column name."""
    title: str = "NULL"
    """VARCHAR; a year in parentheses at its end is taken off and used where `year` is null."""
    title_from: str = "'own'"
    """VARCHAR, what the title was made of where it is not null; the report counts it."""
    year: str = "NULL"
    """Anything that reads as a whole number or as an ISO date, whose year counts."""
    categories: str = "[]::VARCHAR[]"
    """VARCHAR[]; blank entries are dropped."""
    description: str = "NULL"
    """VARCHAR."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Interactions and, where there are any, items. The four fields are column names."""

    interactions: TableFile
    user: str
    item: str
    rating: str
    time: str
    items: ItemSource | None = None
    items_if: str | None = None
    """SQL over the interactions; where it is false in all of them, they tell nothing of items."""

    @property
    def items_beside(self) -> bool:
        """Whether what is told of items stands in the rows of the interactions, which may describe themselves."""
        return self.items is not None and self.items.file.path.samefile(self.interactions.path)
