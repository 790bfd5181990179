"""Models and data sets that are fetched by name, verified and kept in a cache."""

from core.resources.cache import cache_root, fetch, fetch_resource
from core.resources.table import TABLE, Member, Resource, digest, resource

__all__ = [
    "TABLE",
    "Member",
    "Resource",
    "cache_root",
    "digest",
    "fetch",
    "fetch_resource",
    "resource",
]
