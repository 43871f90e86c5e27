"""Facts about frozen dataclasses made with one compilation: the standard library's own are the oracle."""

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field, fields, replace
from typing import Any

import pytest

from handler import frozen
from handler.location import NamedLocation, S3Location


def classes(decorator: Callable[..., Any]) -> list[type]:
    @decorator(frozen=True, slots=True)
    class Positional:
        """Two, one of them with a default."""

        text: str
        count: int = 3

    @decorator(frozen=True, slots=True, kw_only=True)
    class Keywords:
        """A default before a field without one, and one made anew."""

        text: str = "none"
        count: int
        names: list[str] = field(default_factory=list)

    @decorator(frozen=True, slots=True)
    class Empty:
        """Nothing."""

    @decorator(frozen=True, slots=True)
    class Told:
        """With methods of its own."""

        text: str

        def __str__(self) -> str:
            return self.text

        def __repr__(self) -> str:
            return "told"

    return [Positional, Keywords, Empty, Told]


PAIRS = list(zip(classes(frozen.dataclass), classes(dataclasses.dataclass), strict=True))
CALLS: dict[str, list[tuple[tuple[object, ...], dict[str, Any]]]] = {
    "Positional": [(("a",), {}), (("a", 1), {}), ((), {"text": "a"}), ((), {}), (("a", 1, 2), {}), (("a",), {"x": 1})],
    "Keywords": [((), {"count": 1}), ((), {"count": 1, "names": ["a"], "text": "b"}), ((), {}), ((1,), {})],
    "Empty": [((), {}), ((1,), {})],
    "Told": [(("a",), {}), ((), {})],
}


def outcome(cls: type, args: tuple[object, ...], named: dict[str, Any]) -> object:
    try:
        made = cls(*args, **named)
    except TypeError as error:
        return str(error)
    hashed: object
    try:
        hashed = hash(made)
    except TypeError as error:
        hashed = str(error)
    return repr(made), str(made), hashed, dataclasses.asdict(made), made == cls(*args, **named), made == 1


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda cls: cls.__name__)
def test_it_is_what_the_standard_library_makes(ours: type, theirs: type) -> None:
    for args, named in CALLS[ours.__name__]:
        assert outcome(ours, args, named) == outcome(theirs, args, named)
    assert [(f.name, f.type, f.kw_only) for f in fields(ours)] == [(f.name, f.type, f.kw_only) for f in fields(theirs)]
    assert (ours.__doc__, vars(ours)["__slots__"]) == (theirs.__doc__, vars(theirs)["__slots__"])
    assert vars(ours)["__match_args__"] == vars(theirs)["__match_args__"]
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


@pytest.mark.parametrize("change", [lambda it: setattr(it, "prefix", "b"), lambda it: delattr(it, "prefix")])
def test_it_refuses_to_be_changed(change: Callable[[object], None]) -> None:
    made = S3Location(bucket="bucket", prefix="a")
    with pytest.raises(FrozenInstanceError):
        change(made)
    assert made == S3Location(bucket="bucket", prefix="a")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it)), replace])
def test_a_copy_is_equal(again: Callable[[Any], object]) -> None:
    made = NamedLocation(name="name", location=S3Location(bucket="bucket", prefix="a", sha256="0" * 64))
    assert (again(made), hash(again(made))) == (made, hash(made))


def test_other_classes_are_the_standard_library_s() -> None:
    with pytest.raises(TypeError, match="not frozen and slotted"):
        frozen.dataclass(frozen=False, slots=True)


def test_a_default_before_a_field_without_one_is_refused() -> None:
    def build() -> None:
        frozen.dataclass(frozen=True, slots=True)(type("Wrong", (), {"__annotations__": {"a": int, "b": int}, "a": 1}))

    with pytest.raises(SyntaxError):
        build()
