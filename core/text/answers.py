"""The two answers and the token ids they start with, for the exact ending of the prompt."""

from dataclasses import dataclass
from typing import Any

from core.errors import AnswerTokenError
from core.text.plain import ids_behind

YES, NO = "Yes", "No"


@dataclass(frozen=True)
class AnswerTokens:
    """The first token of either answer, in the place where the answer begins."""

    yes: int
    no: int


def answer_tokens(tokenizer: Any, ending: str, lead: str = "") -> AnswerTokens:
    """Find the token that starts each answer right after a prompt.

    Args:
        tokenizer: a tokenizer of transformers.
        ending: the last text of the prompt, as the chat template writes it.
        lead: what stands between the ending and the answer (a blank for prompts without a chat template).
    Raises: AnswerTokenError unless each answer starts with one token, the same one in "Yes", "Yes." and
        "Yes. <reason>", and the two differ.
    """
    found = {}
    for word in (YES, NO):
        written = [
            ids_behind(tokenizer, ending, lead + tail)
            for tail in (word, f"{word}.", f"{word}. A b")
        ]
        whole, firsts = written[0] or [], {ids[0] if ids else None for ids in written}
        if len(firsts) != 1 or None in firsts or len(whole) != 1:
            raise AnswerTokenError(
                f"the tokenizer does not write the answer '{word}' as one token (it gives {whole})",
                hint="Use a base model whose tokenizer has 'Yes' and 'No' as single tokens.",
            )
        found[word] = firsts.pop()
    if found[YES] == found[NO]:
        raise AnswerTokenError(
            f"the tokenizer starts 'Yes' and 'No' with the same token ({found[YES]})",
            hint="Use a base model whose tokenizer tells 'Yes' and 'No' apart.",
        )
    yes, no = found[YES], found[NO]
    assert yes is not None
    assert no is not None
    return AnswerTokens(yes=yes, no=no)
