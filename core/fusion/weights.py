"""How much each expert counts for a user, and which way the gate sends him."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from core.errors import MismatchError

Route = Literal["concentrated", "averaged", "fused", "cold", "global"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Thresholds of the gate; the defaults are the paper's."""

    tau: float = 0.1
    """Temperature of the softmax over cosines, no unit."""
    concentrated_base: float = 0.5
    concentrated_slope: float = 0.6
    """One expert alone if the largest weight exceeds base + slope / n. Source: equation (9)."""
    averaged_share: float = 0.95
    """The global LoRA alone if the entropy reaches this share of log n. Source: equation (10)."""


@dataclass(frozen=True, kw_only=True)
class Routing:
    """What the gate decided for U users and n experts."""

    weights: Floats
    """(U, n) rows sum to 1; zeros for a cold user."""
    entropy: Floats
    """(U,) in nats."""
    route: list[Route]
    expert: npt.NDArray[np.int64]
    """(U,) the expert of a concentrated user, else -1."""

    @cached_property
    def columns(self) -> Floats:
        """(U, n + 1) what each row of a batch adds up: column 0 is the global LoRA, 1.. the experts."""
        route = np.array(self.route)
        fused, concentrated = route == "fused", route == "concentrated"
        columns = np.zeros((len(route), self.weights.shape[1] + 1))
        columns[fused, 1:] = self.weights[fused]
        columns[concentrated, 1 + self.expert[concentrated]] = 1.0
        columns[~fused & ~concentrated, 0] = 1.0
        return columns


def expert_weights(users: Floats, representations: Floats, *, tau: float) -> Floats:
    """Weigh the experts for each user by a softmax over cosine similarities.

    Args:
        users: (U, d) collaborative embeddings e_u.
        representations: (n, d) row g is E_g, the mean embedding of group g.
        tau: temperature > 0, no unit; the smaller, the closer to a single expert.
    Returns: (U, n) weights; each row sums to 1.
    Raises: MismatchError if users and representations differ in d.
    Source: equation (8).
    """
    if users.shape[1] != representations.shape[1]:
        raise MismatchError(
            f"user vectors have {users.shape[1]} dimensions, expert representations {representations.shape[1]}",
            hint="Use the encoder that the groups were made from.",
        )
    cosine = _unit(users) @ _unit(representations).T / tau
    raised = np.exp(cosine - cosine.max(axis=1, keepdims=True))
    weights: Floats = raised / raised.sum(axis=1, keepdims=True)
    return weights


def route_users(
    users: Floats, known: npt.NDArray[np.bool_], representations: Floats, gate: Gate
) -> Routing:
    """Weigh the experts for each user and decide his route.

    Args:
        users: (U, d) embeddings; rows of unknown users are ignored.
        known: (U,) whether the user has an embedding that was trained.
        representations: (n, d) E_g of each expert.
        gate: temperature and thresholds.
    Source: equations (8)-(10); users without an embedding get the global LoRA (method, section 7).
    """
    count = len(representations)
    weights = expert_weights(users, representations, tau=gate.tau)
    weights[~known] = 0.0
    entropy = -np.where(weights > 0, weights * np.log(np.maximum(weights, 1e-300)), 0.0).sum(axis=1)
    highest = gate.concentrated_base + gate.concentrated_slope / count
    flattest = gate.averaged_share * math.log(count)
    route: list[Route] = []
    expert = np.full(len(users), -1, dtype=np.int64)
    for row in range(len(users)):
        if not known[row]:
            route.append("cold")
        elif count == 1 or weights[row].max() > highest:
            # With one expert the weight is always 1 and equation (9) asks for more than 1: that expert it is.
            route.append("concentrated")
            expert[row] = int(weights[row].argmax())
        elif entropy[row] >= flattest:
            route.append("averaged")
        else:
            route.append("fused")
    return Routing(weights=weights, entropy=entropy, route=route, expert=expert)


def route_alike(users: int) -> Routing:
    """Return the routing of a model without experts: the global LoRA answers everybody."""
    return Routing(
        weights=np.zeros((users, 0)),
        entropy=np.zeros(users),
        route=["global"] * users,
        expert=np.full(users, -1, dtype=np.int64),
    )


def _unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = vectors / np.maximum(norms, 1e-12)
    return unit
