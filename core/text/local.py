"""Conversations with a language model on this machine, in batches."""

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from core.text.chat import Conversation, Message, Reply, Request
from core.text.journal import Journal

T = TypeVar("T")
_LEAST_TOKENS_AFTER_BEGINNING = 20


class Speaker(Protocol):
    """A causal language model of transformers and its tokenizer."""

    @property
    def model(self) -> Any:
        """The model."""

    @property
    def tokenizer(self) -> Any:
        """The tokenizer."""


class LocalChat:
    """Holds conversations in rounds: everybody's next request is answered, batch by batch.

    A batch is answered as a whole or taken from the journal as a whole, and its seed comes from its
    requests, so a resumed run says what the uninterrupted one would have said.
    """

    def __init__(
        self,
        speaker: Speaker,
        journal: Journal,
        *,
        batch_size: int,
        temperature: float | None,
        seed: int,
    ) -> None:
        """Take a loaded model. temperature: None or 0 is greedy."""
        self._speaker = speaker
        self._journal = journal
        self._batch_size = batch_size
        self._temperature = temperature
        self._seed = seed
        # Runs of blanks are added tokens of some tokenizers; they control nothing.
        added = [token for token in speaker.tokenizer.get_added_vocab() if token.strip()]
        added.sort(key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, added))) if added else None

    def run(self, conversations: Sequence[Conversation[T]], done: Callable[[], None]) -> list[T]:
        """Return the results of conversations in the order given; `done` is called after each."""
        results: dict[int, T] = {}
        pending: dict[int, Request] = {}

        def step(index: int, reply: Reply | None) -> None:
            conversation = conversations[index]
            try:
                pending[index] = next(conversation) if reply is None else conversation.send(reply)
            except StopIteration as end:
                pending.pop(index, None)
                results[index] = end.value
                done()

        for index in range(len(conversations)):
            step(index, None)
        while pending:
            for batch in self._batches(pending):
                replies = self._answer([pending[index] for index in batch])
                for index, reply in zip(batch, replies, strict=True):
                    step(index, reply)
        return [results[index] for index in range(len(conversations))]

    def _batches(self, pending: dict[int, Request]) -> list[list[int]]:
        """Cut one round into batches of requests with the same form of answer."""
        batches: list[list[int]] = []
        shape = {index: (pending[index].max_tokens, pending[index].begin_with) for index in pending}
        for wanted in sorted(set(shape.values())):
            same = [index for index in sorted(pending) if shape[index] == wanted]
            size = self._batch_size
            batches += [same[start : start + size] for start in range(0, len(same), size)]
        return batches

    def _answer(self, requests: Sequence[Request]) -> list[Reply]:
        known = [self._journal.find(request) for request in requests]
        if None not in known:
            return [reply for reply in known if reply is not None]
        return self._journal.add(requests, self._generate(requests))

    def _generate(self, requests: Sequence[Request]) -> list[Reply]:
        """Let the model write the answers of one batch."""
        model, tokenizer = self._speaker.model, self._speaker.tokenizer
        prompts = [self._prompt(request.messages) for request in requests]
        longest = max(map(len, prompts))
        filler = tokenizer.pad_token_id
        filler = tokenizer.eos_token_id if filler is None else filler
        filler = 0 if filler is None else filler
        room = [longest - len(prompt) for prompt in prompts]  # filled on the left
        rows = [[filler] * gap + prompt for gap, prompt in zip(room, prompts, strict=True)]
        seen = [[0] * gap + [1] * (longest - gap) for gap in room]
        sampling: dict[str, Any] = {"do_sample": False}
        if self._temperature:
            sampling = {
                "do_sample": True,
                "temperature": self._temperature,
                "top_k": 0,
                "top_p": 0.95,
            }
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(self._batch_seed(requests))
            written = model.generate(
                input_ids=torch.tensor(rows, device=model.device),
                attention_mask=torch.tensor(seen, device=model.device),
                max_new_tokens=requests[0].max_tokens,
                pad_token_id=filler,
                min_new_tokens=_least_tokens(requests[0]),
                logits_processor=self._beginning(requests[0].begin_with, longest),
                **sampling,
            )[:, longest:].tolist()
        ends = _end_ids(model, tokenizer)
        return [_reply_of(row, ends, tokenizer) for row in written]

    def _beginning(self, words: Sequence[str], prompt_length: int) -> LogitsProcessorList:
        """Allow only these words as the beginning of the answer, then a full stop."""
        tokenizer = self._speaker.tokenizer
        lead = "" if getattr(tokenizer, "chat_template", None) else " "
        spelled = [tokenizer.encode(f"{lead}{w}.", add_special_tokens=False) for w in words]
        # Words of more than one token need not begin alike; then the model is left alone.
        if not spelled or any(len(ids) != 2 for ids in spelled):
            return LogitsProcessorList()
        return LogitsProcessorList([_Beginning(list(zip(*spelled, strict=True)), prompt_length)])

    def _batch_seed(self, requests: Sequence[Request]) -> int:
        names = "\n".join([str(self._seed), *(request.name for request in requests)])
        return int.from_bytes(hashlib.sha256(names.encode()).digest()[:6], "big")

    def _prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return token ids of a chat that ends where the assistant begins."""
        tokenizer = self._speaker.tokenizer
        turns = [{"role": m.role, "content": self._disarmed(m.content)} for m in messages]
        if not getattr(tokenizer, "chat_template", None):
            text = "\n\n".join(turn["content"] for turn in turns) + "\n\nAnswer:"
            return list(tokenizer.encode(text))
        text = self._rendered(turns)
        return list(tokenizer.encode(text, add_special_tokens=False))

    def _rendered(self, turns: list[dict[str, str]]) -> str:
        """Write a chat as the template has it; without system turns there, the first question begins with it."""

        from jinja2 import TemplateError

        def render(turns: list[dict[str, str]]) -> str:
            text: str = self._speaker.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True
            )
            return text

        if turns[0]["role"] != "system":
            return render(turns)
        first = {"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
        merged = [first, *turns[2:]]
        # Some leave the turn out without a word, others refuse it.
        if "system" not in self._speaker.tokenizer.chat_template:
            return render(merged)
        try:
            return render(turns)
        except TemplateError:
            return render(merged)

    def _disarmed(self, text: str) -> str:
        """Break up what the tokenizer takes for control tokens: titles are words of others."""
        if self._control is None:
            return text
        text = self._control.sub(lambda found: f"{found.group()[:1]} {found.group()[1:]}", text)
        while self._control.search(text):  # tokens of one letter, or with blanks of their own
            text = self._control.sub("", text)
        return text


class _Beginning(LogitsProcessor):  # type: ignore[misc]
    """Masks all tokens but the allowed ones at the first places of an answer."""

    def __init__(self, allowed: Sequence[Sequence[int]], prompt_length: int) -> None:
        """allowed: token ids for the first place, the second, ..."""
        self._allowed = allowed
        self._prompt_length = prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return (B, vocabulary) scores with the rest at minus infinity."""
        place = input_ids.shape[1] - self._prompt_length
        if place >= len(self._allowed):
            return scores
        ids = sorted(set(self._allowed[place]))
        masked = torch.full_like(scores, -torch.inf)
        masked[:, ids] = scores[:, ids]
        return masked


def _least_tokens(request: Request) -> int:
    """Small models like to stop right after the word they are made to begin with."""
    return min(_LEAST_TOKENS_AFTER_BEGINNING, request.max_tokens) if request.begin_with else 0


def _end_ids(model: Any, tokenizer: Any) -> set[int]:
    ends = getattr(model.generation_config, "eos_token_id", None)
    listed = ends if isinstance(ends, list) else [ends]
    return {end for end in [*listed, tokenizer.eos_token_id] if end is not None}


def _reply_of(ids: list[int], ends: set[int], tokenizer: Any) -> Reply:
    """Cut an answer at its end token and put it into words."""
    stop = next((place for place, token in enumerate(ids) if token in ends), None)
    text = tokenizer.decode(ids[:stop], skip_special_tokens=True).strip()
    return Reply(text=text, finish="length" if stop is None else "stop")
