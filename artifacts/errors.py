"""Failures of the store that a user can repair: a problem, a remedy, an exit code (3..9)."""


class StoreError(Exception):
    """Any other failure of the store: where it lies, how something in it is called, what may be removed."""

    exit_code = 9

    def __init__(self, problem: str, *, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


class ArtifactNotFound(StoreError):
    """A reference or a kind that matches no artifact."""

    exit_code = 3


class AmbiguousReference(StoreError):
    """A key prefix or a bare name that matches more than one artifact."""

    exit_code = 4


class StoreTooNew(StoreError):
    """The store was written by a newer version of this program."""

    exit_code = 5


class CorruptArtifact(StoreError):
    """A file of an artifact is missing or is not what its manifest says."""

    exit_code = 6

    @classmethod
    def of(cls, reference: str, problem: str) -> "CorruptArtifact":
        """Build the error for an artifact that can be made again."""
        return cls(
            problem,
            hint=f"See what else is wrong with: thinkrec verify {reference}; then make it again with --force.",
        )


class SchemaViolation(StoreError):
    """A payload that does not have the columns, types or files that its kind declares."""

    exit_code = 7


class BadQuery(StoreError):
    """A SQL query that DuckDB refuses."""

    exit_code = 8
