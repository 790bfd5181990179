"""The terminal: options in, results on stdout, everything else on stderr."""


def version() -> str:
    """Return the version of this program."""
    from importlib import metadata

    return metadata.version("thinkrec")
