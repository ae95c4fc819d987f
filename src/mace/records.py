"""Records: frozen data classes that cost next to nothing to define.

``dataclasses`` writes and compiles the methods of every class, which takes most of a millisecond each, and a warm start
defines some twenty. A record has the same constructor, equality, hash, ``repr`` and ``__post_init__``, shared by all of
them; making one takes about three times as long, a microsecond. The functions of ``dataclasses`` work on records too.
Classes that a warm start does not import, or of which very many are made, are data classes as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


class _Field:
    """A field's default and what it takes part in."""

    def __init__(self, factory: Callable[[], Any] | None, compare: bool, show: bool) -> None:
        self.factory, self.compare, self.show = factory, compare, show


def field(*, default_factory: Callable[[], Any] | None = None, compare: bool = True, show: bool = True) -> Any:
    """How a field gets its value, and whether it counts for equality and is shown by ``repr``."""
    return _Field(default_factory, compare, show)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a class without base class a frozen record of its annotated fields."""
    names = tuple(cls.__annotations__)
    special = {name: f for name in names if isinstance(f := cls.__dict__.get(name), _Field)}
    defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__ and name not in special}
    factories = {name: f.factory for name, f in special.items() if f.factory is not None}
    for name in special:
        delattr(cls, name)
    compared = tuple(n for n in names if n not in special or special[n].compare)
    values = attrgetter(*compared)
    shown = tuple(n for n in names if n not in special or special[n].show)
    complete = cls.__dict__.get("__post_init__")

    def initialise(self: Any, *given: Any, **named: Any) -> None:
        if len(given) + len(named) != len(names) or named:
            named = _arguments(cls, names, given, named, defaults, factories)
            self.__dict__.update(named)
        else:
            self.__dict__.update(zip(names, given, strict=True))
        if complete is not None:
            complete(self)

    def equals(self: Any, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(values(self))

    def text(self: Any) -> str:
        return f"{cls.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    made: dict[str, Any] = {"__init__": initialise, "__eq__": equals, "__hash__": hashed, "__repr__": text}
    made |= {"__setattr__": _refuse, "__delattr__": _refuse, "__match_args__": names}
    made["__dataclass_fields__"] = _Fields(defaults, special)
    for name, method in made.items():
        setattr(cls, name, method)
    return cls


def as_dict(record: Any) -> dict[str, Any]:
    """Field → value, in order; values are not copied."""
    return {name: getattr(record, name) for name in record.__match_args__}


def replace(record: T, **changes: Any) -> T:
    """The same record with other values for some fields. Raises ``TypeError`` for a field that it has not."""
    return type(record)(**{**as_dict(record), **changes})


def _arguments(
    cls: type,
    names: tuple[str, ...],
    given: tuple[Any, ...],
    named: dict[str, Any],
    defaults: dict[str, Any],
    factories: dict[str, Callable[[], Any]],
) -> dict[str, Any]:
    """A value for every field, in order. Raises ``TypeError`` as a call of any function does."""
    found = dict(zip(names, given, strict=False))
    wrong = [name for name in named if name in found or name not in names]
    if wrong or len(given) > len(names):
        raise TypeError(f"{cls.__name__}() got {f'a wrong argument {wrong[0]!r}' if wrong else 'too many arguments'}")
    found |= named
    values = {}
    for name in names:
        if name in found:
            values[name] = found[name]
        elif name in defaults:
            values[name] = defaults[name]
        elif name in factories:
            values[name] = factories[name]()
        else:
            raise TypeError(f"{cls.__name__}() is missing its argument {name!r}")
    return values


def _refuse(self: object, name: str, value: Any = None) -> NoReturn:
    raise AttributeError(f"cannot change field {name!r} of a {type(self).__name__}")


class _Fields:
    """``__dataclass_fields__`` of a record, made when a function of ``dataclasses`` first asks for it."""

    def __init__(self, defaults: dict[str, Any], special: dict[str, _Field]) -> None:
        self._defaults, self._special = defaults, special
        self._made: dict[str, Any] | None = None

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        if self._made is None:
            import dataclasses

            twin: list[tuple[str, Any, Any]] = []
            for name, kind in owner.__annotations__.items():
                if name in self._special:
                    s = self._special[name]
                    default: Any = dataclasses.MISSING if s.factory is None else s.factory
                    made: Any = dataclasses.field(default_factory=default, compare=s.compare, repr=s.show)
                elif name in self._defaults:
                    made = dataclasses.field(default=self._defaults[name])
                else:
                    made = dataclasses.field()
                twin.append((name, kind, made))
            fields = dataclasses.fields(dataclasses.make_dataclass(owner.__name__, twin, kw_only=True))
            self._made = {f.name: f for f in fields}
        return self._made
