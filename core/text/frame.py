"""The fixed text around a question: what the chat template puts before and after it."""

from dataclasses import dataclass
from typing import Any

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


def frame_of(tokenizer: Any) -> Frame:
    """Take the frame from a tokenizer's chat template; without one, a plain question and answer.

    Raises: ModelFolderError if the template is broken.
    """
    from jinja2 import TemplateSyntaxError

    if not getattr(tokenizer, "chat_template", None):
        return Frame(head=f"{SYSTEM}\n", tail="\nAnswer:", lead=" ")
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


def _render(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    # enable_thinking is read by templates of models that would open a <think> block before the answer.
    text: str = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    return text
