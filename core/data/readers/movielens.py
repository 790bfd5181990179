"""MovieLens folders in the three layouts they were published in: 1M (.dat), 100K (u.data), latest (.csv)."""

from pathlib import Path

from core.config.ingest import IngestConfig
from core.data.readers.files import delimited_file, existing_folder, identifier, literal
from core.data.readers.source import ItemSource, Source
from core.errors import MissingFileError

# (ratings, movies) of each layout
LAYOUTS = (("ratings.dat", "movies.dat"), ("u.data", "u.item"), ("ratings.csv", "movies.csv"))
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_COLUMNS = ("user", "item", "rating", "time")


def files(config: IngestConfig) -> dict[str, Path]:
    """Return role -> file. Raises: MissingFileError."""
    folder = existing_folder(Path(config.path or "."))
    for ratings, movies in LAYOUTS:
        if (folder / ratings).is_file():
            found = {"interactions": folder / ratings}
            if (folder / movies).is_file():
                found["items"] = folder / movies
            return found
    raise MissingFileError(
        f"{folder} holds no MovieLens ratings ({', '.join(layout[0] for layout in LAYOUTS)})",
        hint="Give the folder that the MovieLens archive was unpacked to.",
    )


def read(config: IngestConfig, found: dict[str, Path]) -> Source:
    """Describe the files."""
    ratings = found["interactions"].name
    layout = {"ratings.dat": _read_1m, "u.data": _read_100k, "ratings.csv": _read_latest}[ratings]
    return layout(config, found)


def _read_1m(config: IngestConfig, found: dict[str, Path]) -> Source:
    encoding = config.encoding or "latin-1"
    interactions = delimited_file(
        found["interactions"], delimiter="::", quote="", encoding=encoding, columns=_COLUMNS
    )
    items = None
    if "items" in found:
        movies = delimited_file(
            found["items"],
            delimiter="::",
            quote="",
            encoding=encoding,
            columns=("item", "title", "genres"),
        )
        items = ItemSource(
            file=movies, item="item", title="title", categories="string_split(genres, '|')"
        )
    return Source(
        interactions=interactions,
        user="user",
        item="item",
        rating="rating",
        time="time",
        items=items,
    )


def _read_100k(config: IngestConfig, found: dict[str, Path]) -> Source:
    encoding = config.encoding or "latin-1"
    interactions = delimited_file(
        found["interactions"], delimiter="\t", quote="", encoding=encoding, columns=_COLUMNS
    )
    items = None
    if "items" in found:
        columns = ("item", "title", "released", "released_video", "link", *GENRES_100K)
        movies = delimited_file(
            found["items"], delimiter="|", quote="", encoding=encoding, columns=columns
        )
        flags = ", ".join(
            f"CASE WHEN {identifier(genre)} = '1' THEN {literal(genre)} END"
            for genre in GENRES_100K[1:]
        )
        items = ItemSource(
            file=movies,
            item="item",
            title="title",
            year="right(released, 4)",  # 01-Jan-1995
            categories=f"[{flags}]",
        )
    return Source(
        interactions=interactions,
        user="user",
        item="item",
        rating="rating",
        time="time",
        items=items,
    )


def _read_latest(config: IngestConfig, found: dict[str, Path]) -> Source:
    encoding = config.encoding or "utf-8"
    interactions = delimited_file(found["interactions"], delimiter=",", encoding=encoding)
    items = None
    if "items" in found:
        movies = delimited_file(found["items"], delimiter=",", encoding=encoding)
        items = ItemSource(
            file=movies,
            item="movieId",
            title="title",
            categories="list_filter(string_split(genres, '|'), lambda genre: genre <> '(no genres listed)')",
        )
    return Source(
        interactions=interactions,
        user="userId",
        item="movieId",
        rating="rating",
        time="timestamp",
        items=items,
    )
