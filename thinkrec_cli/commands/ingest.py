"""`thinkrec ingest`: files -> dataset."""

from core.stages.ingest import STAGE
from thinkrec_cli.stage_command import Shape, stage_command

DETAILS = """
Reads interactions and items, labels them, splits them into train, valid and test, and accounts
for every row it read. SOURCE is ml-100k (fetched by name), ml-1m, movielens or recbole (a folder:
--path), yelp or amazon (--path, or --interactions and --items), or table (--interactions, --items).
"""
EXAMPLES = (
    "thinkrec ingest ml-100k",
    "thinkrec ingest ml-1m --path ml-1m",
    "thinkrec ingest amazon --interactions Books.json.gz --items meta_Books.json.gz",
    "thinkrec ingest table --interactions ratings.csv --items movies.csv --threshold 3.5",
)

command = stage_command(STAGE, Shape(positional="source"))
