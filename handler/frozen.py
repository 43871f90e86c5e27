"""`dataclass(frozen=True, slots=True)`, made with one call of the compiler where the standard library makes seven.

Before Python 3.13 `dataclasses` compiles each method of each class by itself, which for our classes was a twentieth of
a start. Here only `__init__` is compiled; what else a frozen class needs are the same few functions for all of them.
Fields, their defaults, `fields`, `replace` and `match` are the standard library's.
"""

import dataclasses
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, slots: bool, kw_only: bool = False) -> Callable[[type], type]:
        """As the standard library's; `frozen` and `slots` are written down for whoever reads the class."""
        if not (frozen and slots):
            raise TypeError("dataclasses.dataclass is for classes that are not frozen and slotted")

        def make(cls: type) -> type:
            own = frozenset(vars(cls))
            if "__post_init__" in own:
                raise TypeError("dataclasses.dataclass is for classes with a __post_init__")
            cls.__doc__ = cls.__doc__ or cls.__name__  # else a signature is worked out for it
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
            made.__init__ = _init(made)
            for name, method in _METHODS.items():
                if name not in own:
                    setattr(made, name, method)
            return made

        return make


def _init(cls: Any) -> FunctionType:
    """`__init__`, which puts each argument into its slot past the `__setattr__` that refuses."""
    positional: list[str] = []
    keyword_only: list[str] = []
    defaults: list[Any] = []
    keyword_defaults: dict[str, Any] = {}
    lines: list[str] = []
    names: dict[str, Any] = {"_put": object.__setattr__, "_absent": dataclasses.MISSING}
    for field in dataclasses.fields(cls):
        value = field.name
        if field.default_factory is not dataclasses.MISSING:
            names[f"_new_{field.name}"] = field.default_factory
            value = f"_new_{field.name}() if {field.name} is _absent else {field.name}"
        required = field.default is dataclasses.MISSING and value == field.name
        (keyword_only if field.kw_only else positional).append(field.name if required else f"{field.name}=None")
        if not required and field.kw_only:
            keyword_defaults[field.name] = field.default
        elif not required:
            defaults.append(field.default)
        lines.append(f"    _put(self, {field.name!r}, {value})\n")
    parameters = ", ".join(["self", *positional, *(["*", *keyword_only] if keyword_only else [])])
    module = compile(f"def __init__({parameters}):\n" + "".join(lines or ["    pass\n"]), "<frozen>", "exec")
    code = next(constant for constant in module.co_consts if isinstance(constant, CodeType))
    init = FunctionType(code, names, "__init__", tuple(defaults))
    init.__kwdefaults__ = keyword_defaults
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _names(instance: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(instance))


def _values(instance: Any) -> tuple[object, ...]:
    return tuple(getattr(instance, name) for name in _names(instance))


def _repr(self: object) -> str:
    told = zip(_names(self), _values(self), strict=True)
    return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in told)})"


def _eq(self: object, other: object) -> bool:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: object) -> int:
    return hash(_values(self))


def _set(self: object, name: str, value: object) -> None:
    del self, value
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(self: object, name: str) -> None:
    del self
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: object) -> tuple[object, ...]:
    """For `copy` and `pickle`."""
    return _values(self)


def _set_state(self: Any, state: tuple[object, ...]) -> None:
    for name, value in zip(_names(self), state, strict=True):
        object.__setattr__(self, name, value)


_METHODS = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _set,
    "__delattr__": _delete,
    "__getstate__": _get_state,
    "__setstate__": _set_state,
}
