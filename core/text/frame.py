"""The fixed text around a question: what the chat template puts before and after it.

Training keeps it (contract.json), since a template may tell the date: tomorrow it would be another.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from core.errors import ModelFolderError

SYSTEM = "You predict whether a person will enjoy an item, and say why."
_MARK = "\u2402question\u2403"


@dataclass(frozen=True)
class Frame:
    """Trusted text before and after the question, and what the answer begins with."""

    head: str
    tail: str
    lead: str
    """Blank between the tail and the answer, where there is no chat template."""
    begin: tuple[int, ...] = ()
    """Ids that stand before the head, where there is no chat template to bring them: <s> and the like."""

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Self:
        """Take a frame from JSON."""
        return cls(**{**facts, "begin": tuple(facts["begin"])})

    @classmethod
    def kept(cls, path: Path, tokenizer: Any) -> Self:
        """Return the frame that a piece of work began with; at its beginning take it and write it down."""
        if not path.exists():
            scratch = path.with_suffix(".new")
            scratch.write_text(json.dumps(dataclasses.asdict(frame_of(tokenizer))) + "\n")
            scratch.rename(path)  # a kill leaves all of it or nothing
        return cls.read(json.loads(path.read_text()))


def frame_of(tokenizer: Any) -> Frame:
    """Take the frame from a tokenizer's chat template; without one, a plain question and answer.

    Raises: ModelFolderError if the template is broken.
    """
    from jinja2 import TemplateSyntaxError

    if not getattr(tokenizer, "chat_template", None):
        return Frame(head=f"{SYSTEM}\n", tail="\nAnswer:", lead=" ", begin=_begin(tokenizer))
    try:
        text = _render(
            tokenizer, [{"role": "system", "content": SYSTEM}, {"role": "user", "content": _MARK}]
        )
    except TemplateSyntaxError as problem:
        raise ModelFolderError(
            f"the chat template of the base model is broken: {problem.message}, line {problem.lineno}",
            hint="Correct chat_template.jinja in the model's folder, or use another base model.",
        ) from problem
    except Exception as refusal:
        text = _render(tokenizer, [{"role": "user", "content": f"{SYSTEM}\n{_MARK}"}])
        if _MARK not in text:
            raise refusal
    head, _, tail = text.partition(_MARK)
    return Frame(head=head, tail=tail, lead="")


def _begin(tokenizer: Any) -> tuple[int, ...]:
    """Return what the tokenizer puts before any text, without what it would put after it."""
    ids = tokenizer.encode("", add_special_tokens=True)
    end = tokenizer.eos_token_id
    if ids and ids[-1] == end != tokenizer.bos_token_id:
        ids = ids[:-1]
    return tuple(ids)


def _render(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    # enable_thinking is read by templates of models that would open a <think> block before the answer.
    text: str = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    return text
