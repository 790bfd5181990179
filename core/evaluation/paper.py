"""The paper's figures, kept to be shown beside ours: they are compared with, never computed with.

Source: ThinkRec paper, ML-1M columns of table 2, of the ablation and of the comparison of reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

BASE_MODEL = "Llama-3-8B"
"""Base of the paper's language-model rows; its encoder rows have none."""
ENCODERS = MappingProxyType(
    {"mf": "MF", "lightgcn": "LightGCN", "sasrec": "SASRec", "gsasrec": "gSASRec"}
)
"""Value of `encode --encoder` -> method."""


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """What the paper reports for one method on one data set."""

    method: str
    where: str
    """Table of the paper."""
    figures: Mapping[str, float]
    """Metric by the name it has here -> value; what the paper does not report is missing."""


_OVERALL = ("auc", "uauc", "ndcg@5", "map@5")
_ML_1M = {
    "MF": (0.6401, 0.6079, 0.7286, 0.4520),
    "LightGCN": (0.6140, 0.6230, 0.7333, 0.4600),
    "SASRec": (0.6956, 0.6687, 0.7663, 0.4747),
    "gSASRec": (0.7043, 0.6690, 0.7650, 0.4693),
    "Prompt4NR": (0.6936, 0.6433, 0.7665, 0.4652),
    "TALLRec": (0.6872, 0.6553, 0.7683, 0.4706),
    "CoLLM": (0.7141, 0.6672, 0.7585, 0.4647),
    "ThinkRec": (0.7764, 0.6775, 0.7747, 0.4774),
}
_ABLATION = ("uauc", "ndcg@5", "map@5")
_ML_1M_ABLATION = {
    "ThinkRec without thinking and experts": (0.6658, 0.7643, 0.4674),
    "ThinkRec without thinking": (0.6599, 0.7570, 0.4623),
    "ThinkRec without experts": (0.6765, 0.7740, 0.4742),
}
_ML_1M_METEOR = {"Prompt4NR": 0.0010, "TALLRec": 0.0275, "CoLLM": 0.0003, "ThinkRec": 0.0333}


def paper_row(method: str) -> PaperRow | None:
    """Return what the paper reports for a method on ML-1M, None if it does not have it."""
    if method in _ML_1M:
        figures = dict(zip(_OVERALL, _ML_1M[method], strict=True))
        return PaperRow(method=method, where="table 2", figures=figures)
    if method in _ML_1M_ABLATION:
        figures = dict(zip(_ABLATION, _ML_1M_ABLATION[method], strict=True))
        return PaperRow(method=method, where="ablation", figures=figures)
    return None


def paper_meteor(method: str) -> float | None:
    """Return the METEOR the paper reports for a method's reasons on ML-1M."""
    return _ML_1M_METEOR.get(method)


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """What tells which of the paper's methods a scorer is."""

    kind: str
    """Kind of the artifact that scored: encoder, adapter, experts or model."""
    names: tuple[str, ...]
    """Names of that artifact and of its scores."""
    encoder: str | None = None
    thinks: bool = True
    """Whether its adapter was trained on reasons."""
    experts: bool = True
    """Whether a model has experts, or reads its adapter with a projector only."""


def method_of(scorer: Scorer) -> str | None:
    """Return the paper's name of a scorer's method, None for what the paper does not have.

    An encoder is known by its type. A language model whose name says tallrec, collm or prompt4nr is that; any
    other is ThinkRec or the ablation of it that lacks the experts or the reasons.
    """
    if scorer.kind == "encoder":
        return ENCODERS.get(scorer.encoder or "")
    for word, method in (("tallrec", "TALLRec"), ("collm", "CoLLM"), ("prompt4nr", "Prompt4NR")):
        if any(word in name for name in scorer.names):
            return method
    fused = scorer.kind in ("model", "experts") and scorer.experts
    if fused:
        return "ThinkRec" if scorer.thinks else "ThinkRec without thinking"
    if scorer.kind in ("adapter", "model"):
        return f"ThinkRec without {'experts' if scorer.thinks else 'thinking and experts'}"
    return None
