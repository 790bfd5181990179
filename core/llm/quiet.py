"""Keep transformers' own progress bars, advice and long errors off the terminal while a model loads."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def first_line(problem: Exception) -> str:
    """Return what a library's error says first, in at most 200 characters; its class if it says nothing."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0][:200]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers inside the block, and put everything back as it was."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
