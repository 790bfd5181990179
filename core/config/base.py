"""How settings are declared, checked and turned into the parameters of an artifact's key."""

import contextlib
import dataclasses
import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Self, get_args, get_origin, get_type_hints

from core.errors import ConfigError, UnknownKeyError

_LARGEST = 10**18
"""What libraries hold of a whole number, in round figures."""


def option(  # noqa: PLR0913 - each is one property of a setting
    default: Any,
    text: str,
    *,
    keyed: bool = True,
    flag: str | None = None,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    folder: bool = False,
    before: Any = None,
) -> Any:
    """Declare a setting.

    Args:
        default: value when the user says nothing.
        text: what it means, with its unit; becomes the help of the command-line option.
        keyed: whether the setting changes the result and so belongs to the artifact's key.
        flag: spelling of the command-line option where it differs from the field's name.
        least: a number below this is refused.
        above: a number that is not above this is refused.
        most: a number above this is refused.
        folder: whether it may name a folder, which then enters the key by its full path, however it was spelled.
        before: the only value there was before it could be set; that one stays out of the key, so that what was made
            then is found.
    """
    metadata = {
        "text": text,
        "keyed": keyed,
        "flag": flag,
        "least": least,
        "above": above,
        "most": most,
        "folder": folder,
        "before": before,
    }
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def seed_option(text: str) -> Any:
    """Declare a setting that random numbers start from; every library here takes 32 bits of it."""
    return option(0, text, least=0, most=2**32 - 1)


def same_users_option() -> Any:
    """Declare how a scorer is asked about another data set than its own."""
    return option(
        False,
        "With --dataset: it is a later state of the data trained on, where equal ids are the same users and items. "
        "Experts, vectors, keywords and the prior then serve them; without it all users are strangers.",
    )


def skip_unknown_option(files: str) -> Any:
    """Declare what becomes of rows of a file whose user or item the data do not have."""
    return option(
        False,
        f"With {files}: leave out rows whose user or item is not in the data, and say how many.",
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of all settings: strict about names and choices."""

    def __post_init__(self) -> None:
        """Refuse values outside a field's choices or range, what is no finite number, and empty texts.

        Raises: ConfigError.
        """
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            choices = literal_choices(hints[field.name])
            value = getattr(self, field.name)
            if choices and value is not None and value not in choices:
                raise ConfigError(
                    f"{field.name} = {value!r} is not one of {', '.join(map(str, choices))}",
                    hint=f"Use {suggestion(str(value), map(str, choices)) or choices[0]!r}.",
                )
            if isinstance(value, (int, float)):
                self._check_number(field, value)
            # Of a variable of the shell that is not set; taken for nothing said, something else would be done.
            self.check(
                value != "" or NoneType not in get_args(hints[field.name]),
                f"{field.name} is an empty text",
                hint="Give a value, or leave the setting out.",
            )

    def _check_number(self, field: dataclasses.Field[Any], value: int | float) -> None:
        least, above, most = (field.metadata.get(name) for name in ("least", "above", "most"))
        shown = f"{field.name} = {value}"
        self.check(
            isinstance(value, float) or abs(value) < _LARGEST,
            f"{field.name} is a number of more than 18 digits",
            hint="Give a smaller number.",
        )
        self.check(math.isfinite(value), f"{shown} is no finite number", hint="Give a number.")
        self.check(
            least is None or value >= least,
            f"{shown} is below {least}",
            hint=f"Use {least} or more.",
        )
        self.check(
            above is None or value > above,
            f"{shown} is not above {above}",
            hint=f"Use more than {above}.",
        )
        self.check(
            most is None or value <= most, f"{shown} is above {most}", hint=f"Use {most} or less."
        )

    def check(self, condition: bool, problem: str, *, hint: str) -> None:
        """Raise ConfigError unless the condition holds."""
        if not condition:
            raise ConfigError(problem, hint=hint)

    def parameters(self) -> dict[str, Any]:
        """Return the settings that belong to the artifact's key, as JSON values."""
        left_out = {*self.unused(), *self.implied()}
        return {
            field.name: _spelled(field, getattr(self, field.name))
            for field in dataclasses.fields(self)
            if field.metadata.get("keyed", True) and field.name not in left_out
        }

    def unused(self) -> Collection[str]:
        """Return the settings that the others leave without effect: they stay out of the key."""
        return ()

    def is_idle(self, name: str) -> bool:
        """Return whether a setting has no effect beside the others; one that is not keyed may have one all the same."""
        (keyed,) = (
            f.metadata.get("keyed", True) for f in dataclasses.fields(self) if f.name == name
        )
        counts = name in self.parameters() or name in self.implied()
        return not counts and (keyed or name in self.unused())

    def implied(self) -> Collection[str]:
        """Return the settings that have the only value there was before they could be set: they stay out of the key."""
        return [
            field.name
            for field in dataclasses.fields(self)
            if (before := field.metadata.get("before")) is not None
            and getattr(self, field.name) == before
        ]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, where: str) -> Self:
        """Build settings from a mapping (a recipe step, a config file); unknown keys are refused.

        Args:
            values: setting name (dashes or underscores) -> value.
            where: what the mapping is, for the error message.
        Raises: UnknownKeyError with the nearest known key, ConfigError for a value of the wrong type.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        hints = get_type_hints(cls)
        settings = {}
        for raw_key, value in values.items():
            key = raw_key.replace("-", "_")
            if key not in known:
                near = suggestion(key, known)
                raise UnknownKeyError(
                    f"{where}: unknown key '{raw_key}'",
                    hint=f"Did you mean '{near}'?"
                    if near
                    else f"Known keys: {', '.join(sorted(known))}.",
                )
            settings[key] = _coerce(value, hints[key], f"{where}: {raw_key}")
        try:
            return cls(**settings)
        except ConfigError as problem:
            raise ConfigError(f"{where}: {problem}", hint=problem.hint) from problem


def suggestion(word: str, known: Any) -> str | None:
    """Return the known word nearest to a mistyped one, or None."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return near[0] if near else None


def literal_choices(annotation: Any) -> tuple[Any, ...]:
    """Return the choices of a Literal type (also inside `| None`), or an empty tuple."""
    if str(get_origin(annotation)) == "typing.Literal":
        return get_args(annotation)
    for part in get_args(annotation):
        if str(get_origin(part)) == "typing.Literal":
            return get_args(part)
    return ()


_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    tuple: "a list",
}


def _coerce(value: Any, annotation: Any, where: str) -> Any:
    """Accept ints for floats, and lists or a single entry for tuples; refuse every other mismatch of simple types.

    Raises: ConfigError, also for an entry of a list.
    """
    types = (
        get_args(annotation) if get_origin(annotation) not in (None, list, tuple) else (annotation,)
    )
    if literal_choices(annotation):
        return value
    if float in types and isinstance(value, int) and not isinstance(value, bool):
        # What is too large for it stays as it is, and is refused as a setting.
        return float(value) if abs(value) < _LARGEST else value
    origins = tuple(get_origin(t) or t for t in types)
    if tuple in origins:
        entry = get_args(types[origins.index(tuple)])[0]
        if isinstance(value, (list, tuple)):
            return tuple(_coerce(one, entry, f"{where}[{n}]") for n, one in enumerate(value))
        if value is not None:
            return (_coerce(value, entry, where),)
    simple = tuple(t for t in origins if isinstance(t, type))
    if (simple and not isinstance(value, simple)) or (
        isinstance(value, bool) and bool not in simple
    ):
        wanted = " or ".join(_WORDS.get(t, t.__name__) for t in simple if t is not NoneType)
        raise ConfigError(f"{where} = {value!r} is not {wanted}", hint=f"Give {wanted}.")
    return value


def _spelled(field: dataclasses.Field[Any], value: Any) -> Any:
    if field.metadata.get("folder") and value:
        with contextlib.suppress(OSError, RuntimeError):  # no such home, too long: it is no folder
            if (folder := Path(value).expanduser()).is_dir():
                return str(folder.resolve())
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return str(value) if hasattr(value, "__fspath__") else value


def with_underscores(settings: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Return settings under their names in the code. Raises: ConfigError for one that stands there in two spellings."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = key.replace("-", "_")
        if name in found:
            raise ConfigError(
                f"{where}: {name} is set twice, in two spellings",
                hint="Remove one of the two lines.",
            )
        found[name] = value
    return found
