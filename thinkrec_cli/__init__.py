"""The terminal: options in, results on stdout, everything else on stderr."""

from importlib import metadata


def version() -> str:
    """Return the version of this program."""
    return metadata.version("thinkrec")
