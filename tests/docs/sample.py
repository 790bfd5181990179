"""The small made-up ratings that the commands in README and guide are run on."""

import random
from pathlib import Path

USERS, ITEMS = 60, 40
GENRES = ("Comedy", "Crime", "Drama", "Horror")
_FIRST = ("Silent", "Golden", "Broken", "Last", "Hidden", "Crimson", "Distant", "Restless")
_SECOND = ("River", "Garden", "Harbour", "Letter", "Summer")


def write_sample(folder: Path) -> None:
    """Write ratings.csv, movies.csv, pairs.csv, users.csv, mine.csv and theirs.csv: each likes one genre of four."""
    draw = random.Random(7)
    lines = ["user,item,rating,timestamp"]
    seen = set()
    for position in range(1500):
        user, item = draw.randint(1, USERS), draw.randint(1, ITEMS)
        if (user, item) in seen or (user, item) == (42, 17):  # left to be asked about
            continue
        seen.add((user, item))
        liked = draw.random() < (0.9 if item % len(GENRES) == user % len(GENRES) else 0.3)
        rating = draw.choice((4, 5)) if liked else draw.choice((1, 2, 3))
        lines.append(f"{user},{item},{rating},{1_000_000_000 + 3600 * position}")
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    titles = ["item,title,categories,year"]
    for item in range(1, ITEMS + 1):
        name = f"{_FIRST[item % len(_FIRST)]} {_SECOND[item % len(_SECOND)]}"
        titles.append(f"{item},{name},{GENRES[item % len(GENRES)]},{1960 + item}")
    (folder / "movies.csv").write_text("\n".join(titles) + "\n")
    (folder / "pairs.csv").write_text("user,item\n42,17\n42,3\n7,17\n")
    (folder / "users.csv").write_text("user\n42\n7\n")
    (folder / "mine.csv").write_text("item,rating\n5,5\n12,2\n21,4\n")
    scores = [f"{user},{item},{draw.random():.4f}" for user, item in sorted(seen)]
    (folder / "theirs.csv").write_text("\n".join(["user,item,score", *scores]) + "\n")
