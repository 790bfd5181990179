"""MovieLens folders in the three layouts they were published in: 1M (.dat), 100K (u.data), latest (.csv)."""

from pathlib import Path

from core.config.ingest import IngestConfig
from core.data.readers.files import TableFile, delimited_file
from core.data.readers.source import ItemSource, Source
from core.data.readers.streams import check_encoding, existing_folder
from core.data.sql import identifier, literal
from core.errors import EncodingError, MissingColumnError, MissingFileError

# (ratings, movies) of each layout
LAYOUTS = (("ratings.dat", "movies.dat"), ("u.data", "u.item"), ("ratings.csv", "movies.csv"))
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_COLUMNS = ("user", "item", "rating", "time")
_RATINGS_LATEST = ("userId", "movieId", "rating", "timestamp")
_MOVIES_LATEST = ("movieId", "title", "genres")
# 10M and the latest layout write it where a movie has no genre.
_GENRES = "list_filter(string_split(genres, '|'), lambda genre: genre <> '(no genres listed)')"


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
    """Describe the files. Raises: EmptyFileError, EncodingError, MissingColumnError, BadValueError."""
    ratings = found["interactions"].name
    layout = {"ratings.dat": _read_1m, "u.data": _read_100k, "ratings.csv": _read_latest}[ratings]
    return layout(config, found)


def _read_1m(config: IngestConfig, found: dict[str, Path]) -> Source:
    encoding = config.encoding or _encoding_1m(found)
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
        items = ItemSource(file=movies, item="item", title="title", categories=_GENRES)
    return Source(
        interactions=interactions,
        user="user",
        item="item",
        rating="rating",
        time="time",
        items=items,
    )


def _encoding_1m(found: dict[str, Path]) -> str:
    """Return the encoding of .dat files: 1M is latin-1, 10M has the same names and is UTF-8."""
    if "items" in found:
        try:
            check_encoding(found["items"], "utf-8")
        except EncodingError:
            return "latin-1"
    return "utf-8"


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
    _require(interactions, _RATINGS_LATEST)
    items = None
    if "items" in found:
        movies = delimited_file(found["items"], delimiter=",", encoding=encoding)
        _require(movies, _MOVIES_LATEST)
        items = ItemSource(file=movies, item="movieId", title="title", categories=_GENRES)
    return Source(
        interactions=interactions,
        user="userId",
        item="movieId",
        rating="rating",
        time="timestamp",
        items=items,
    )


def _require(file: TableFile, names: tuple[str, ...]) -> None:
    """Raises: MissingColumnError if a column that MovieLens has is missing."""
    for name in names:
        if name not in file.columns:
            raise MissingColumnError(
                f"{file.path}: no column '{name}', which MovieLens has; columns are: "
                f"{', '.join(file.columns[:20])}",
                hint="For tables of another kind use: thinkrec ingest table --interactions F --items F",
            )
