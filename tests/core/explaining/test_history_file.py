"""The history of a stranger: its own rows are told where they are wrong, and it never holds the answer."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from core.config.explain import ExplainConfig
from core.errors import BadValueError, UnknownItemError
from core.explaining.history_file import read_history
from core.stages.explain import _asked
from core.text.examples import Examples


@pytest.fixture
def written(tmp_path: Path):
    def write(*rows: str) -> str:
        path = tmp_path / "mine.csv"
        path.write_text("\n".join(["item,rating", *rows]) + "\n")
        return str(path)

    return write


def ask(dataset, path: str, item: str):
    """Return the history that is asked with, and what was said about it."""
    said = []
    work = SimpleNamespace(
        config=ExplainConfig(history=path, item=item),
        input=lambda name: SimpleNamespace(manifest=SimpleNamespace(parameters={"threshold": 3.0})),
        progress=SimpleNamespace(say=said.append),
    )
    [(row, user, asked, items, labels, reference)] = _asked(work, Examples(dataset))
    assert (row, user, dataset.items[asked], reference) == (None, None, item, None)
    return [dataset.items[n] for n in items], labels, said


def test_a_history_is_taken_as_it_stood_before_the_item_asked(dataset, written):
    path = written("i1,5", "i2,2", "i9,5", "i4,1", "i9,1")
    assert ask(dataset, path, "i9") == (
        ["i1", "i2"],
        [1, 0],
        [f"{path}: row 3 is the item asked, so the history is taken as it stood before that row"],
    )
    assert ask(dataset, path, "i1")[:2] == ([], [])


def test_a_history_without_the_item_asked_is_taken_whole(dataset, written):
    path = written("i1,5", "i2,2", "i9,5")
    assert ask(dataset, path, "i4") == (["i1", "i2", "i9"], [1, 0, 1], [])


def test_an_unknown_item_is_told_with_file_and_row(dataset, written):
    path = written("i1,5", "nothing,2")
    with pytest.raises(UnknownItemError) as problem:
        read_history(path, dataset, 3.0)
    assert str(problem.value) == f"{path}: row 2: no item 'nothing' in the data"
    assert problem.value.hint


@pytest.mark.parametrize("rating", ["nan", "NaN", "inf", "-inf", "good"])
def test_a_rating_that_is_no_number_is_neither_a_like_nor_a_dislike(dataset, written, rating):
    path = written("i1,5", f"i2,{rating}")
    with pytest.raises(BadValueError, match=rf"row 2: rating '{rating}' is not a number"):
        read_history(path, dataset, 3.0)
