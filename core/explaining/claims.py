"""What a reason claims that can be looked up, held against what the model read: counts, shares, titles, likings.

A small model learns to write reasons before it learns to copy numbers and names, and a reason that reads well may hold
counts that nobody told it, turn a dislike round, or tell how an item was liked that nobody has had yet. So claims are
checked once a reason is written, and can be held to what was read while it is.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

_OF_SO_MANY = r"of (?:(?:the|their) (last )?)?(\d+)"
_COUNT = re.compile(rf"\b(\d+) (?:out )?{_OF_SO_MANY}(?:(?: in)? ([^\W\d_][\w'’-]*))?")
_SHARE = re.compile(r"\b(\d+)(?: ?%| per ?cent\b)(?: of (?:the )?(\d+)\b)?")
_TITLE = re.compile(r"“([^”]+)”")
_MARK = re.compile(r"“[^”]*”?|[”\"]")
_NUMBER = re.compile(r"(?<!\d)\d+(?!\d)")
_NOT = r"(?:(?:did|have|has|had|do|does) not|(?:did|have|has|had|do|does)n['’]t|never)"
_LIKED = r"enjoyed|liked|loved"
_DISLIKED = rf"{_NOT} (?:(?:really|even|much|quite) )?(?:enjoy|like|love)(?:e?d)?|disliked|hated"
_TITLES = r"“[^”]*”(?:(?:, and |, | and )“[^”]*”)*"
_YES_BEFORE = rf"{_LIKED}|favou?rites (?:is|are)"
_NO_BEFORE = rf"{_DISLIKED}|disappointments (?:is|are)|(?<!never )(?<!not )(?<!n.t )let down by"
_LIKED_TITLES = re.compile(rf"\b(?:(?P<no>{_NO_BEFORE})|(?:{_YES_BEFORE})) (?P<titles>{_TITLES})")
_TITLES_LIKED = re.compile(
    rf"(?P<titles>{_TITLES}), (?:which (?:they|this person) |[^“”.;]{{1,60}} too, (?:all )?)"
    rf"(?:(?P<no>{_DISLIKED}|left them cold)|(?:{_LIKED}|pleased them))\b"
)
# Where no clause begins before a list of titles, all but the last may belong to what stands there.
_CLAUSE = r"(?:^|(?<=[.;:] )|(?<=[^”], )|(?<=[^”] and )|(?<=\bbut )|(?<=though )|(?<=while ))"
_TITLES_PLEASED = re.compile(
    rf"(?P<titles>{_CLAUSE}{_TITLES}|“[^”]*”) (?:all )?(?:(?P<no>left them cold)|pleased them)\b"
)
_DISLIKED_BEFORE = re.compile(rf"\b(?:{_DISLIKED}) (?:only |just )?$")
_DISLIKED_NUMBER = re.compile(rf"\b(?:{_DISLIKED}) (?:only |just )?\d")
# Prompts tell what other people enjoy as a share alone; counts without them are the person's.
_OTHERS = r"\bother people (?:enjoy|like|love)(?:e?d)? (?:only |just )?"
_OTHERS_BEFORE = re.compile(rf"{_OTHERS}$", re.IGNORECASE)
_OTHERS_NUMBER = re.compile(rf"{_OTHERS}(\d+)(\D.{{0,14}})?", re.IGNORECASE)
_PEOPLE = r"people|persons|users|viewers|others"
_OF_PEOPLE = re.compile(rf" (?:other )?(?:{_PEOPLE})\b", re.IGNORECASE)
_PEOPLE_WORDS = ("other people", *_PEOPLE.split("|"))
# "It pleased 29 of 60": of people, though it is not said.
_PLEASED_BEFORE = re.compile(r"\bit (?:has )?pleased (?:only |just )?$", re.IGNORECASE)
# A count or share of people whose word has not come yet, or not whole.
_OPEN_PEOPLE = re.compile(
    r"\b(\d+)(?P<share> ?%| per ?cent)? (?:out )?of (\d+)(?: (?P<begun>[a-z]*(?: [a-z]*)?))?$"
)
_PERCENT = ("%", " %", " percent", " per cent")
# Nobody has had the item asked when the reason is given.
_OUTCOME = re.compile(
    rf"\b(?:they|this person|the user)(?: (?:have|has|had|only|also|really))? "
    rf"(?:{_DISLIKED}|{_LIKED}|rated) (?:it\b|this\b(?! [\w“]))",
    re.IGNORECASE,
)
# The answer was given before the reason.
_ANSWER = re.compile(r"(?:^|(?<=[.!?] ))(?:Yes|No)\b")
# What a text ends with while a claim is being written.
_OPEN_TITLE = re.compile(
    rf"(?:\b(?:(?P<no>{_NO_BEFORE})|(?P<yes>{_YES_BEFORE})) "
    r"(?:“[^”]*”(?:, and |, | and ))*)?“(?P<begun>[^”]*)$"
)
_OPEN_NUMBER = re.compile(r"(?<!\d)\d+$")
_OPEN_COUNT = re.compile(r"\b(\d+) (?:out )?of( the last)?(?: (\d*))?$")
_OF = re.compile(r"\b(\d+) (?:out )?of\b(.{0,10})")
_OF_THE_LAST = " the last "
_OPEN_SHARE = re.compile(r"\b(\d+)(?: ?%| per ?cent) of (\d+)$")
_OPEN_THIS = re.compile(r"\bthis ?$")
_OPEN_WORD = re.compile(r"\b(\d+) (?:out )?of (\d+)(?: in)? ([^\W\d_][\w'’-]*)$")
PART = "\ufffd"
"""Stands for bytes of a character that is not whole yet."""
_SURE_OF_WORD = 3
"""Letters from which on a word that is being written is taken for the category that begins so."""
_LEADING_WORDS = 2
"""Words with which a long title may be quoted for short."""


class Facts:
    """What a prompt says: its counts and shares, and which titles were liked."""

    def __init__(self, prompt: str, history: Iterable[tuple[str, bool]], target: str) -> None:
        """Find the counts and shares.

        Args:
            prompt: all that the model reads.
            history: (title, liked) of the items that the prompt shows.
            target: title of the item asked.
        """
        shown = list(history)
        for title in {target, *(title for title, _ in shown)}:
            if _COUNT.search(title) or _SHARE.search(title):
                prompt = prompt.replace(title, "")  # which counts nothing
        self._counted: dict[tuple[int, int], set[str]] = defaultdict(set)
        self._last: set[tuple[int, int]] = set()
        for k, last, n, word in _COUNT.findall(prompt):
            if last:
                self._last.add((int(k), int(n)))
            else:
                self._counted[int(k), int(n)].add(word.lower())
        self._by_word: set[str] = set().union(*self._counted.values()) - {""}
        peoples = re.compile(r"\b(\d+)% of (\d+) other people")
        self._people_shares = {(int(percent), int(n)) for percent, n in peoples.findall(prompt)}
        self._of_people = _pairs_of(self._people_shares)
        self._shares = {
            (int(percent), int(n) if n else None)
            for percent, n in _SHARE.findall(peoples.sub("", prompt))
        }
        told = _pairs_of((percent, n) for percent, n in self._shares if n)
        self._shares |= {(_percent(k, n), n) for k, n in self._counted if n}
        self._percents = {percent for percent, _ in self._shares | self._people_shares}
        self._of_others = set(re.findall(rf"{_OTHERS}(\d+)%", prompt))
        self._pairs = told | set(self._counted) | self._of_people
        self._numbers = set(_NUMBER.findall(prompt))
        self._numbers |= {str(k) for k, _ in self._pairs} | {str(one) for one in self._percents}
        self._titles: dict[str, set[bool]] = defaultdict(set)
        for title, liked in shown:
            for letters in _spellings(title):
                self._titles[letters].add(liked)
        for letters in _spellings(target):
            self._titles[letters] |= set()

    def claims(self, reason: str) -> dict[str, bool]:
        """Return what a reason claims, and whether the prompt says so.

        - Counts ("3 of 4 crime") and shares ("48%"). A count agrees with the prompt's count of the same thing, or with
          its share: 29 of 60 with "48% of 60"; so does a share with a count. What the count is of is compared where
          the prompt counts by that word, as it does by category; "of the last" is another count than "of". What "other
          people enjoy" is a share, and theirs; counts and shares of people are the item's, not the person's.
        - Titles (in “ ” or " ") have to be those of items shown, or begin like one; where the words beside them say
          that they were liked or not, that has to be so.
        - That the item asked was liked or not ("They enjoyed it"), which no prompt says.

        Args:
            reason: what the model wrote.
        Returns: the claims as they are written, straight marks made round, each once, counts first.
        """
        reason = _with_round_marks(reason)
        untitled = _untitled(reason)
        found: dict[str, bool] = {}
        # Prompts tell what was liked: "did not enjoy 3 of 10" is read where "enjoyed 7 of 10" is.
        for match in _COUNT.finditer(untitled):
            k, n = int(match[1]), int(match[3])
            disliked = _before(_DISLIKED_BEFORE, untitled, match)
            k = n - k if disliked else k
            people = _people(untitled, match, match.end(3))
            if people is not None:
                told = (k, n) in self._of_people and not match[2]
            else:
                told = (k, n) in self._last if match[2] else self._is_counted(k, n, match[4])
            others = _before(_OTHERS_BEFORE, untitled, match)
            found[others + disliked + (people or match[0])] = told and not others
        for match in _SHARE.finditer(untitled):
            percent, disliked = int(match[1]), _before(_DISLIKED_BEFORE, untitled, match)
            percent = 100 - percent if disliked else percent
            people = _people(untitled, match, match.end()) if match[2] else None
            if people is not None:
                told = (percent, int(match[2])) in self._people_shares
            else:
                told = self._is_share(percent, match[2])
            if others := _before(_OTHERS_BEFORE, untitled, match):
                told = match[1] in self._of_others and not match[2]
            found[others + disliked + (people or match[0])] = told
        found |= {match[0]: bool(self._likings(match[1])) for match in _TITLE.finditer(reason)}
        for pattern in (_LIKED_TITLES, _TITLES_LIKED, _TITLES_PLEASED):
            for match in pattern.finditer(reason):
                liked = match["no"] is None
                if all(
                    self._may_be_liked(title, liked) for title in _TITLE.findall(match["titles"])
                ):
                    continue
                found[match[0]] = False
        found |= {match[0]: False for match in _OUTCOME.finditer(untitled)}
        return found

    def allow(self, beginning: str) -> bool:
        """Return whether a reason may begin so: what it claims was read, what it begins to claim can still become so.

        No sentence answers once more. Numbers that are part of no claim have to stand in the prompt as well, titles
        aside; none may follow words like "did not enjoy".

        Args:
            beginning: of a reason, with single blanks. One that ends with a mark or a blank begins nothing; it may end
                with PART.
        """
        beginning = _with_round_marks(beginning)
        if _DISLIKED_NUMBER.search(beginning):
            return False  # simpler than what is left of what was liked
        if (title := _OPEN_TITLE.search(beginning)) is not None:
            liked = None if title["no"] is title["yes"] is None else title["no"] is None
            if not self._may_become_title(title["begun"], liked):
                return False
            beginning = beginning[: title.start("begun") - 1]
        untitled = _untitled(beginning)
        return (
            _ANSWER.search(untitled) is None
            and self._others_allowed(untitled)
            and self._numbers_allowed(untitled)
            and all(self._may_follow_of(int(k), rest) for k, rest in _OF.findall(untitled))
            and self._claims_allowed(beginning)
        )

    def _numbers_allowed(self, text: str) -> bool:
        open_number = _OPEN_NUMBER.search(text)
        if open_number is not None:
            if not any(number.startswith(open_number[0]) for number in self._numbers):
                return False
            text = text[: open_number.start()]
        return all(number in self._numbers for number in _NUMBER.findall(text))

    def _others_allowed(self, text: str) -> bool:
        """Return whether what other people are said to enjoy is, or can still become, a share that is theirs."""
        for number, rest in _OTHERS_NUMBER.findall(text):
            if not rest:
                known = any(one.startswith(number) for one in self._of_others)
            else:
                begins = any(rest.startswith(p) or p.startswith(rest) for p in _PERCENT)
                known = number in self._of_others and begins and not re.search(r" of \d", rest)
            if not known:
                return False
        return True

    def _may_follow_of(self, k: int, rest: str) -> bool:
        """Return whether a count goes on as one: with a number, or with "the last" where the prompt has it."""
        if rest in ("", " ") or re.match(r" \d", rest):
            return True
        begins = _OF_THE_LAST.startswith(rest) or rest.startswith(_OF_THE_LAST)
        return begins and any(one == k for one, _ in self._last)

    def _claims_allowed(self, text: str) -> bool:
        text = _OPEN_THIS.sub("", text)
        whole = text
        if (people := _OPEN_PEOPLE.search(text)) is not None and self._may_be_of_people(people):
            whole = text[: people.start()]
        elif (word := _OPEN_WORD.search(text)) is not None:
            if not self._may_become_word(int(word[1]), int(word[2]), word[3].lower()):
                return False
            whole = text[: word.start()]
        elif (count := _OPEN_COUNT.search(text)) is not None:
            k = int(count[1])
            # Behind a bare "of" may come either.
            pairs = (
                self._last if count[2] else self._pairs if count[3] else self._pairs | self._last
            )
            if not any(one == k and str(n).startswith(count[3] or "") for one, n in pairs):
                return False
            whole = text[: count.start()]
        elif (share := _OPEN_SHARE.search(text)) is not None:
            percent = int(share[1])
            shares = self._shares | self._people_shares
            known = [str(n) for one, n in shares if n and one == percent]
            if not any(n.startswith(share[2]) for n in known):
                return False
            whole = text[: share.start()]
        return all(self.claims(whole).values())

    def _is_counted(self, k: int, n: int, word: str | None) -> bool:
        name = (word or "").lower()
        if name in self._by_word:
            return name in self._counted.get((k, n), ())
        return (k, n) in self._counted or (n > 0 and (_percent(k, n), n) in self._shares)

    def _may_become_word(self, k: int, n: int, begun: str) -> bool:
        """Return whether a count may go on with a word that begins so."""
        if not self._is_counted(k, n, None):
            return False
        if re.fullmatch(_PEOPLE, begun):
            return False  # else it were one of people
        rightly = self._counted.get((k, n), set())
        likely = {word for word in self._by_word if word.startswith(begun)}
        if begun in self._by_word or len(begun) >= _SURE_OF_WORD:
            return not likely or bool(likely & rightly)
        return True

    def _may_be_of_people(self, open_claim: re.Match[str]) -> bool:
        """Return whether a count or share that ends a text can still become one of people, and is theirs."""
        begun = open_claim["begun"] or ""
        known = self._people_shares if open_claim["share"] else self._of_people
        likely = any(word.startswith(begun) for word in _PEOPLE_WORDS)
        return likely and (int(open_claim[1]), int(open_claim[3])) in known

    def _is_share(self, percent: int, n: str | None) -> bool:
        return (percent, int(n)) in self._shares if n else percent in self._percents

    def _likings(self, quoted: str) -> list[set[bool]]:
        """Return, for each title shown that is quoted so, whether it was liked; nothing in it for the item asked."""
        words = _letters(quoted)
        if (whole := self._titles.get(words)) is not None:
            return [whole]
        short = len(words.split()) >= _LEADING_WORDS
        return [
            liked
            for title, liked in self._titles.items()
            if title == words or (short and title.startswith(words))
        ]

    def _may_be_liked(self, quoted: str, liked: bool) -> bool:
        """Return whether a title may be said to have been liked, or not; of an unknown one that is no matter."""
        found = self._likings(quoted)
        return not found or any(liked in likings for likings in found)

    def _may_become_title(self, begun: str, liked: bool | None) -> bool:
        """Return whether a title shown begins so, its last word perhaps unfinished, and was liked as it is said."""
        letters = _letters(begun)
        unfinished = begun[-1:].isalnum() or begun.endswith(PART) or not letters.strip()
        start = letters.rstrip() if unfinished else letters
        return any(
            title.startswith(start) and (liked is None or liked in likings)
            for title, likings in self._titles.items()
        )


def _before(words: re.Pattern[str], text: str, count: re.Match[str]) -> str:
    """Return the words right before a count or share that change what it says, if they stand there."""
    found = words.search(text[: count.start()])
    return found[0] if found else ""


def _people(text: str, count: re.Match[str], end: int) -> str | None:
    """Return a count or share with the people it is of; None if it is of anything else."""
    if (word := _OF_PEOPLE.match(text, end)) is not None:
        return text[count.start() : word.end()]
    return text[count.start() : end] if _before(_PLEASED_BEFORE, text, count) else None


def _with_round_marks(text: str) -> str:
    """Return a text with “ and ” by turns in place of straight marks.

    Those within a title in round ones stay, and those that begin nothing, as behind inches.
    """
    inside = False

    def turned(found: re.Match[str]) -> str:
        nonlocal inside
        mark = found[0]
        if mark == '"' and not inside:
            inside = not text[: found.start()][-1:].isalnum()
            return "“" if inside else mark
        if mark in ('"', "”"):
            inside = False
            return "”"
        return mark

    return _MARK.sub(turned, text)


def _untitled(text: str) -> str:
    return _TITLE.sub("“”", text)


def _spellings(title: str) -> Iterator[str]:
    """Yield a title's words, also with an article in front that catalogues move to the end ("Birdcage, The")."""
    yield _letters(title)
    if (moved := re.fullmatch(r"(.+), (The|A|An)", title)) is not None:
        yield _letters(f"{moved[2]} {moved[1]}")


def _pairs_of(shares: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return every (k, n) that is told as one of these shares (percent, n)."""
    return {(k, n) for percent, n in shares for k in _counts_of_share(percent, n)}


def _counts_of_share(percent: int, n: int) -> Iterator[int]:
    """Yield every k of n that is told as this share."""
    middle = percent * n // 100
    reach = n // 100 + 2
    for k in range(max(0, middle - reach), min(n, middle + reach) + 1):
        if _percent(k, n) == percent:
            yield k


def _percent(k: int, n: int) -> int:
    """Return a share as prompts tell it: 100 * k / n would round 23 of 40 to the other side."""
    return round(100 * (k / n))


def _letters(text: str) -> str:
    """Return the words alone, a blank around each: titles reach prompts with other marks."""
    words = re.findall(r"[^\W_]+", text.lower())
    return f" {' '.join(words)} "
