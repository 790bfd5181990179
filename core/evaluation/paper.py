"""The paper's figures, kept to be shown beside ours: they are compared with, never computed with.

Source: ThinkRec paper, tables 2 (all systems), 3 (reasons), 4 (ablation) and 6 (the global expert at home).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

BASE_MODEL = "Llama-3-8B"
"""Base of the paper's language-model rows; its encoder rows have none."""
ENCODERS = MappingProxyType(
    {"mf": "MF", "lightgcn": "LightGCN", "sasrec": "SASRec", "gsasrec": "gSASRec"}
)
"""Value of `encode --encoder` -> method."""
BASELINES = MappingProxyType({"tallrec": "TALLRec", "collm": "CoLLM", "prompt4nr": "Prompt4NR"})
"""Word in the name of an artifact -> method."""
DATA_SETS = MappingProxyType({"ml-1m": "ML-1M", "yelp": "Yelp", "amazon": "Book"})
"""Source of `ingest` whose preset is the paper's -> column of its tables."""

THINKREC = "ThinkRec"
WITHOUT_THINKING = "ThinkRec without thinking"
WITHOUT_EXPERTS = "ThinkRec without experts"
WITHOUT_BOTH = "ThinkRec without thinking and experts"
COLLABORATIVE = frozenset({"CoLLM", THINKREC, WITHOUT_THINKING, WITHOUT_EXPERTS, WITHOUT_BOTH})
"""Methods whose prompts have vectors of a collaborative model in them, by a projector."""


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """What the paper reports for one method on one data set."""

    method: str
    where: str
    """Table of the paper, and its column."""
    figures: Mapping[str, float]
    """Metric by the name it has here -> value; what the paper does not report is missing."""
    reasons: Mapping[str, float]
    """The same of its reasons."""
    caution: str = ""
    """In what our scorer is more or other than the method."""


# Columns: ML-1M, Yelp, Book, each with the metrics in this order.
_OVERALL = ("auc", "uauc", "ndcg@5", "map@5")
_TABLE_2 = {
    "MF": "6401 6079 7286 4520  5838 5389 8120 2552  6592 5527 6805 2887",
    "LightGCN": "6140 6230 7333 4600  5360 5179 8076 2520  5622 4985 6406 2598",
    "SASRec": "6956 6687 7663 4747  6184 6096 8564 2785  5411 5197 6550 2701",
    "gSASRec": "7043 6690 7650 4693  6200 6051 8586 2792  6187 5546 6858 2964",
    "Prompt4NR": "6936 6433 7665 4652  6272 6034 8348 2705  6764 5699 7023 3048",
    "TALLRec": "6872 6553 7683 4706  5334 5206 7988 2538  6632 5568 7023 3049",
    "CoLLM": "7141 6672 7585 4647  6373 5961 8420 2734  7830 5672 6917 2968",
    THINKREC: "7764 6775 7747 4774  6955 6065 8585 2826  8302 5705 6858 2977",
}
_ABLATION = ("uauc", "ndcg@5", "map@5")
_TABLE_4 = {
    WITHOUT_BOTH: "6658 7643 4674  5904 8429 2736  5017 6381 2613",
    WITHOUT_THINKING: "6599 7570 4623  5865 8402 2702  4692 6284 2548",
    WITHOUT_EXPERTS: "6765 7740 4742  5999 8562 2791  5631 6801 2939",
}
# The global expert at home: its NDCG@5 are those of ThinkRec without experts, so that is what it is.
_TABLE_6_AUC = {WITHOUT_EXPERTS: "7843  7104  8369"}
_REASONS = ("meteor", "bleurt")
_TABLE_3 = {
    "Prompt4NR": "0010 2013  0205 1675  0003 1957",
    "TALLRec": "0275 2607  0379 2420  0301 1931",
    "CoLLM": "0003 1626  0001 1785  0097 1636",
    THINKREC: "0333 3104  0616 2683  0546 2828",
}
_TABLE_6_REASONS = {WITHOUT_EXPERTS: "0970 4043  0892 3491  1028 3489"}


def paper_row(method: str, source: str = "ml-1m", *, caution: str = "") -> PaperRow | None:
    """Return what the paper reports for a method on a data set, None if it does not have it.

    Args:
        method: as its tables call it.
        source: of `ingest`: ml-1m, yelp or amazon.
        caution: in what our scorer is more or other than the method.
    """
    if source not in DATA_SETS:
        return None
    figures = {
        metric: value
        for table, metrics in (
            (_TABLE_2, _OVERALL),
            (_TABLE_4, _ABLATION),
            (_TABLE_6_AUC, ("auc",)),
        )
        if method in table
        for metric, value in _column(table[method], metrics, source).items()
    }
    if not figures:
        return None
    reasons = {**_TABLE_3, **_TABLE_6_REASONS}.get(method)
    table = "table 2" if method in _TABLE_2 else "table 4"
    if method in _TABLE_6_AUC:
        table += " and 6"
    return PaperRow(
        method=method,
        where=f"{table}, {DATA_SETS[source]}",
        figures=figures,
        reasons=_column(reasons, _REASONS, source) if reasons else {},
        caution=caution,
    )


def _column(words: str, metrics: Sequence[str], source: str) -> Mapping[str, float]:
    digits = words.split()
    start = list(DATA_SETS).index(source) * len(metrics)
    own = digits[start : start + len(metrics)]
    return {metric: int(word) / 10_000 for metric, word in zip(metrics, own, strict=True)}


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """What tells which of the paper's methods a scorer is."""

    kind: str
    """Kind of the artifact that scored: encoder, adapter, experts or model."""
    names: tuple[str, ...]
    """Names of that artifact and of its scores; the first that says something counts."""
    encoder: str | None = None
    adapter: str | None = None
    """Name of the adapter it was made from, if it is none itself."""
    thinks: bool = True
    """Whether its adapter was trained on reasons."""
    experts: int | None = None
    """How many experts it has; None if that is not known."""


def method_of(scorer: Scorer) -> str | None:
    """Return the paper's name of a scorer's method, None for what the paper does not have.

    An encoder is known by its type. A language model with neither experts nor thinking is TALLRec, CoLLM or
    Prompt4NR if it has that word in its name. Any other is ThinkRec, or the ablation that lacks experts, thinking or
    both: because its name says so (without-experts, without-think, without-both) or because it was made so.
    """
    if scorer.kind == "encoder":
        return ENCODERS.get(scorer.encoder or "")
    if scorer.kind not in ("adapter", "experts", "model"):
        return None
    if not scorer.thinks and (scorer.kind == "adapter" or scorer.experts == 0):
        for name in scorer.names:
            if word := _words(name) & BASELINES.keys():
                return BASELINES[min(word)]
    if scorer.adapter and _words(scorer.adapter) & BASELINES.keys():
        return None  # made from a baseline, and said to be something else
    lacks = {part for name in scorer.names for part in _lacks(name)}
    thinks = scorer.thinks and not lacks & {"think", "both"}
    has_experts = scorer.kind != "adapter" and scorer.experts != 0
    has_experts = has_experts and not lacks & {"experts", "both"}
    if thinks:
        return THINKREC if has_experts else WITHOUT_EXPERTS
    return WITHOUT_THINKING if has_experts else WITHOUT_BOTH


def _words(name: str) -> set[str]:
    """Return the words of a name or reference: scores/tallrec-seed-1@2 has tallrec among them."""
    return set(re.split(r"[^a-z0-9]+", name.lower()))


def _lacks(name: str) -> list[str]:
    """Return think, experts or both where a name says without-..., no-... or wo-... of it."""
    pattern = r"(?:^|[^a-z])(?:without|no|wo|w-o)[-_.]?(think|experts?|both)"
    return ["experts" if part.startswith("expert") else part for part in re.findall(pattern, name)]
