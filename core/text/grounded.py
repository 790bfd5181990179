"""The grounded teacher: a reason made of nothing but what can be checked in the data.

It names items of the user's own history, how often the user enjoyed a category, how the item went
down with others, and how easily the user is pleased. Without counts it has the shown items alone: no
number, and nothing of other people. Evidence for the true answer leads; the strongest evidence
against it is admitted ("although ..."); where nothing speaks for the answer, the reason says that
too. The wording is drawn from the seed and the row number, so the same row always reads the same.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.text.cases import Case, Seen
from core.text.evidence import told_categories
from core.text.plain import LONGEST_TITLE
from core.text.traces import Trace

LEAST_WORDS, MOST_WORDS = 25, 60
_HIGH, _LOW = 0.58, 0.5  # like-rates at or above, at or below which a count speaks for Yes, for No
_MOST, _LITTLE = 0.6, 0.4  # bounds of those words
_TITLE_WORDS = 9  # longer titles are not quoted as examples


@dataclass(frozen=True)
class _Piece:
    """One fact in words."""

    text: str  # a clause that begins in lower case unless with a title
    side: int  # 1 speaks for Yes, -1 for No, 0 for neither
    strength: float


def grounded_trace(case: Case, *, seed: int, show_counts: bool = True) -> Trace:
    """Guess by what may be cited, look at the true answer if the guess was wrong, explain the latter."""
    guess = case.expectation >= 0.5 if show_counts else _leaning(case, seed) >= 0
    tries = 1 if guess == bool(case.label) else 2
    reason = grounded_reason(case, seed=seed, show_counts=show_counts)
    return Trace(case=case, reason=reason, tries=tries, status="ok")


def grounded_reason(case: Case, *, seed: int, show_counts: bool = True) -> str:
    """Compose a reason for the row's label out of facts.

    Args:
        case: the row.
        seed: of the wording.
        show_counts: cite what the prompt style `evidence` tells; otherwise only what the history shows.
    Returns: at most 60 words (titles beyond all measure aside), at least 25 where there are facts enough, without the
        leading answer.
    """
    draw = _drawing(case, seed)
    side = 1 if case.label else -1
    pieces = sorted(_pieces(case, draw, show_counts), key=lambda piece: -piece.strength)
    support = [piece.text for piece in pieces if piece.side == side]
    against = [piece.text for piece in pieces if piece.side == -side]
    spare = [piece.text for piece in pieces if piece.side == 0] + [_description(case, draw)]
    if not support:
        return _unexplained(against, spare, side, draw)
    closing = draw.choice(_CLOSINGS[side])
    reason = ""
    for most in (3, 2, 1):
        for fillers in range(len(spare) + 1):
            reason = _compose(support[:most], against[:1], spare[:fillers], closing)
            if len(reason.split()) >= LEAST_WORDS:
                break
        if len(reason.split()) <= MOST_WORDS:
            return reason
    return _compose(support[:1], [], spare[-1:], closing)


_CLOSINGS = {
    1: (
        "they will probably enjoy it",
        "a good match is likely",
        "there is good reason to expect that they enjoy it",
        "the odds are in its favour",
    ),
    -1: (
        "they will probably not enjoy it",
        "a poor match is likely",
        "there is little reason to expect that they enjoy it",
        "the odds are against it",
    ),
}


def _compose(
    support: Sequence[str], against: Sequence[str], spare: Sequence[str], closing: str
) -> str:
    """Put clauses together: concession, support, what else is known, conclusion."""
    first = f"Although {against[0]}, {support[0]}" if against else support[0]
    rest = [*support[1:], *spare]
    sentences = [first]
    while len(rest) > 1:
        sentences.append(f"{rest[0]}, and {rest[1]}")
        rest = rest[2:]
    if rest:
        sentences.append(f"{rest[0]}, so {closing}")
    else:
        sentences.append(f"all in all, {closing}")
    return _sentences(sentences)


def _unexplained(
    against: Sequence[str], spare: Sequence[str], side: int, draw: random.Random
) -> str:
    """Say honestly that the facts do not speak for the answer; who reads it has not had the item yet."""
    outlook = "it should please them" if side > 0 else "it should not please them"
    if against:
        ending = draw.choice(
            (
                f"even so, {outlook}, an exception that their past does not explain",
                f"still, {outlook}, which the record before it would not suggest",
            )
        )
    else:
        ending = f"nothing known before it points clearly either way, yet {outlook}"
    clauses = [*against[:2], *spare]
    sentences: list[str] = []
    for clause in clauses:
        if len(_sentences([*sentences, ending]).split()) >= LEAST_WORDS:
            break
        sentences.append(clause)
    return _sentences([*sentences, ending])


def _drawing(case: Case, seed: int) -> random.Random:
    return random.Random(f"{seed}-{case.row}")


def _leaning(case: Case, seed: int) -> float:
    """Return how far the shown items speak for Yes (above 0) or No."""
    pieces = _pieces(case, _drawing(case, seed), show_counts=False)
    return sum(piece.side * piece.strength for piece in pieces)


def _pieces(case: Case, draw: random.Random, show_counts: bool) -> Iterable[_Piece]:
    """Yield every fact that the case allows."""
    wording = draw.randrange(100)
    for liked in (True, False):
        wording += 1  # the two sides never in the same words
        if (examples := _examples(case, liked=liked)) is not None:
            yield _example_piece(*examples, liked=liked, wording=wording)
    if not show_counts:
        yield from _shown_pieces(case, draw)
        return
    yield from _category_pieces(case, draw)
    if case.crowd_seen >= 3:
        yield _crowd_piece(case.crowd_liked, case.crowd_seen, draw)
    if case.seen_so_far >= 3:
        yield _habit_piece(case.liked_so_far, case.seen_so_far, draw)


def _examples(case: Case, *, liked: bool) -> tuple[str, list[str]] | None:
    """Find the facet that most liked (or disliked) shown items share, and up to 3 of them."""
    best: tuple[str, list[Seen]] | None = None
    for facet in case.target.facets:
        sharing = [
            seen
            for seen in reversed(case.history)
            if seen.liked == liked
            and facet in seen.facts.facets
            and seen.facts.title != case.target.title
            and len(seen.facts.title.split()) <= _TITLE_WORDS
        ]
        if sharing and (best is None or len(sharing) > len(best[1])):
            best = facet, sharing
    if best is None:
        return None
    titles = list(dict.fromkeys(seen.facts.title for seen in best[1]))
    return best[0], titles[:3] if sum(len(title.split()) for title in titles[:3]) <= 12 else titles[
        :2
    ]


def _example_piece(facet: str, titles: list[str], *, liked: bool, wording: int) -> _Piece:
    quoted = _listing([_quoted(title) for title in titles])
    if liked:
        texts = (
            f"they enjoyed {quoted}, also {facet}",
            f"it shares {facet} with {quoted}, which they enjoyed",
            f"among their recent favourites {_are(titles)} {quoted}, {facet} like this one",
            f"{quoted}, {facet} too, pleased them",
        )
    else:
        texts = (
            f"they did not enjoy {quoted}, also {facet}",
            f"it shares {facet} with {quoted}, which they disliked",
            f"among their recent disappointments {_are(titles)} {quoted}, {facet} like this one",
            f"{quoted}, {facet} too, left them cold",
        )
    return _Piece(texts[wording % len(texts)], 1 if liked else -1, 0.2 + 0.1 * len(titles))


def _category_pieces(case: Case, draw: random.Random) -> Iterable[_Piece]:
    """Yield a clause for each side, from the two categories that say most for it."""
    # Only what a prompt tells as well: a student that learns to cite other counts learns to invent.
    told = [(name.lower(), k, n) for name, k, n in told_categories(case.by_category)]
    for side, fitting in _by_side(told, _side):
        counts = [f"{k} of {n} in {name}" for name, k, n in fitting[:2]]
        only = "only " if side < 0 else ""
        texts = (
            f"so far they enjoyed {only}{_listing(counts)}",
            f"in the past they enjoyed {only}{_listing(counts)}",
            f"they liked {only}{_listing(counts)} before",
        )
        yield _Piece(draw.choice(texts), side, _strength(fitting[0][1], fitting[0][2]))


def _by_side(
    counted: Iterable[tuple[str, int, int]], side_of: Callable[[float], int]
) -> Iterator[tuple[int, list[tuple[str, int, int]]]]:
    """Yield (side, its entries, the one that says most first) of (name, liked, seen) with two rows or more."""
    known = [(name, k, n) for name, k, n in counted if n >= 2]
    for side in (1, -1, 0):
        fitting = [(name, k, n) for name, k, n in known if side_of(k / n) == side]
        fitting.sort(key=lambda entry: (-_strength(entry[1], entry[2]), entry[0]))
        if fitting:
            yield side, fitting


def _crowd_piece(liked: int, seen: int, draw: random.Random) -> _Piece:
    side = _side(liked / seen)
    texts = {
        1: (
            f"it went down well with others, {liked} of {seen} other people enjoyed it",
            f"it is liked in general, by {liked} of {seen} other people",
            f"most who know it are pleased, {liked} of {seen} other people",
        ),
        -1: (
            f"it pleased only {liked} of {seen} other people",
            f"others were not convinced, only {liked} of {seen} other people enjoyed it",
            f"it did not win most people over, {liked} of {seen} other people enjoyed it",
        ),
        0: (
            f"opinions on it are mixed, {liked} of {seen} other people enjoyed it",
            f"others are divided, it pleased {liked} of {seen} other people",
        ),
    }
    return _Piece(draw.choice(texts[side]), side, _strength(liked, seen))


def _habit_piece(liked: int, seen: int, draw: random.Random) -> _Piece:
    side = _side(liked / seen)
    texts = {
        1: (
            f"they are easily pleased, with {liked} of {seen} ratings so far positive",
            f"they usually enjoy what they pick, {liked} of {seen} ratings so far",
        ),
        -1: (
            f"they are hard to please, with only {liked} of {seen} ratings so far positive",
            f"they often end up disappointed and enjoyed only {liked} of {seen} ratings so far",
        ),
        0: (
            f"their own ratings are mixed, {liked} of {seen} ratings so far positive",
            f"they enjoy about every second thing they pick, {liked} of {seen} ratings so far",
        ),
    }
    # The habit says nothing about this very item, so it weighs half.
    return _Piece(draw.choice(texts[side]), side, _strength(liked, seen) / 2)


def _shown_pieces(case: Case, draw: random.Random) -> Iterable[_Piece]:
    """Yield what the shown items tell of the user's habit and of a category, in words instead of numbers."""
    if len(case.history) >= 3:
        liked = sum(seen.liked for seen in case.history)
        side = _side_in_words(liked / len(case.history))
        # The habit says nothing about this very item, so it weighs half.
        strength = _strength(liked, len(case.history)) / 2
        yield _Piece(draw.choice(_LATELY[side]), side, strength)
    counted = []
    for facet in case.target.facets:
        sharing = [seen.liked for seen in case.history if facet in seen.facts.facets]
        counted.append((facet, sum(sharing), len(sharing)))
    for side, fitting in _by_side(counted, _side_in_words):
        facets = _listing([facet for facet, _, _ in fitting[:2]])
        text = draw.choice(_LATELY_IN[side]).format(facets=facets)
        yield _Piece(text, side, _strength(*fitting[0][1:]))


_LATELY = {
    1: (
        "lately they enjoyed most of what they picked",
        "most of what they rated last pleased them",
    ),
    -1: (
        "lately they enjoyed little of what they picked",
        "little of what they rated last pleased them",
    ),
    0: (
        "lately they enjoyed about half of what they picked",
        "about half of what they rated last pleased them",
    ),
}
_LATELY_IN = {
    1: (
        "their latest picks in {facets} mostly pleased them",
        "with {facets} they mostly fared well of late",
    ),
    -1: (
        "their latest picks in {facets} mostly let them down",
        "with {facets} they rarely fared well of late",
    ),
    0: (
        "their latest picks in {facets} were hit and miss",
        "with {facets} they fared now well, now badly of late",
    ),
}


def _description(case: Case, draw: random.Random) -> str:
    """Describe the item itself, by what a prompt tells as well: true whatever the answer."""
    target = case.target
    facets = _listing(list(target.facets[:3]))
    title = _quoted(target.title)
    if not facets:
        return f"{title} is all that is known about the choice itself"
    return draw.choice(
        (
            f"{title} is listed in the catalogue under {facets}",
            f"what {title} itself has to offer is {facets}",
        )
    )


def _side(rate: float) -> int:
    return 1 if rate >= _HIGH else -1 if rate <= _LOW else 0


def _side_in_words(rate: float) -> int:
    """Return the side of a like-rate that is told as most, little or about half."""
    return 1 if rate >= _MOST else -1 if rate <= _LITTLE else 0


def _strength(liked: int, seen: int) -> float:
    """How far a like-rate is from the middle, less for few rows."""
    return abs(liked / seen - (_HIGH + _LOW) / 2) * seen / (seen + 3)


def _listing(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _are(titles: Sequence[str]) -> str:
    return "are" if len(titles) > 1 else "is"


def _quoted(title: str) -> str:
    plain = title[:LONGEST_TITLE].translate(str.maketrans('“”"', "'''"))
    return f"“{plain}”"


def _sentences(clauses: Iterable[str]) -> str:
    return " ".join(f"{clause[0].upper()}{clause[1:]}." for clause in clauses)
