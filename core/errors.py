"""Every failure that a user can repair, each with a remedy and an exit code of its own.

Anything else that escapes is our bug and keeps its traceback. Exit code 2 belongs to usage errors of the command
line, 3..9 to the artifact store (artifacts/errors.py), 130 to Ctrl-C.
"""


class ThinkRecError(Exception):
    """A failure the user can repair: one line of problem, one line of remedy."""

    exit_code = 1

    def __init__(self, problem: str, *, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


class MissingFileError(ThinkRecError):
    """A file or folder named by the user does not exist or cannot be read."""

    exit_code = 10


class EmptyFileError(ThinkRecError):
    """An input file holds no rows."""

    exit_code = 11


class EncodingError(ThinkRecError):
    """An input file is not in the text encoding it was read with."""

    exit_code = 12


class MissingColumnError(ThinkRecError):
    """An input table lacks a column that is needed."""

    exit_code = 13


class BadValueError(ThinkRecError):
    """A value of an input table cannot be read as what it has to be."""

    exit_code = 14


class TimeUnitError(ThinkRecError):
    """Timestamps are not in seconds since 1970."""

    exit_code = 15


class DuplicateRowError(ThinkRecError):
    """The same user and item occur more than once and the user asked for that to be an error."""

    exit_code = 16


class EmptySplitError(ThinkRecError):
    """A split left nothing to train on or nothing to test."""

    exit_code = 17


class UnknownUserError(ThinkRecError):
    """A user id that is not in the data."""

    exit_code = 20


class UnknownItemError(ThinkRecError):
    """An item id that is not in the data."""

    exit_code = 21


class ConfigError(ThinkRecError):
    """A setting has a value that cannot be used."""

    exit_code = 30


class UnknownKeyError(ThinkRecError):
    """A configuration file names a setting that does not exist."""

    exit_code = 31


class RecipeError(ThinkRecError):
    """A recipe cannot be read as a pipeline."""

    exit_code = 32


class MismatchError(ThinkRecError):
    """Two inputs do not belong together (other rows, other base model, other prompt)."""

    exit_code = 33


class PipedInputError(ThinkRecError):
    """What came through the pipe is no reference, or the command before failed or was killed."""

    exit_code = 34


class ModelFolderError(ThinkRecError):
    """A folder or id that holds no language model."""

    exit_code = 40


class AnswerTokenError(ThinkRecError):
    """The tokenizer does not write Yes and No as one distinct token each."""

    exit_code = 41


class TrainingDivergedError(ThinkRecError):
    """A loss or a gradient was not a finite number."""

    exit_code = 43


class DeviceMemoryError(ThinkRecError):
    """The memory of the GPU is full."""

    exit_code = 44

    @classmethod
    def of(cls, problem: Exception, *, hint: str) -> "DeviceMemoryError":
        """Say in a sentence what torch's error says in many."""
        return cls(f"the memory of the GPU is full: {str(problem).split('. ')[0]}", hint=hint)


class ResourceFetchError(ThinkRecError):
    """A model or data set of the resource table could not be fetched."""

    exit_code = 50


class ChecksumError(ThinkRecError):
    """A fetched file is not the file that the resource table names."""

    exit_code = 51


class TeacherError(ThinkRecError):
    """The teacher model cannot be reached or answers nothing of use."""

    exit_code = 60


class DiskFullError(ThinkRecError):
    """No space left on the device."""

    exit_code = 70
