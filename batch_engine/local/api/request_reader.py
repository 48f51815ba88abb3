"""Reads a request by AWS's own service model.

A single walk drops nulls and unknown members, checks types and ranges, and corrects the case of enumerated
values.

AWS takes enumerated values in any case (``managed``, ``container``) and ignores members it does not know.
"""

import math
from collections.abc import Callable
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

Errors = list[str]
Reader = Callable[[Any, str, Errors], Any]

_SHOWN = 100


def reader_of(shape: Shape) -> Reader:
    """Returns a function that reads values of a shape.

    The function takes a value, its path for messages, and a list to which it adds errors. It returns the
    value for the core.
    """
    return _Compiler().of(shape)


class _Compiler:
    def __init__(self) -> None:
        self._known: dict[str, Reader] = {}

    def of(self, shape: Shape) -> Reader:
        if shape.name not in self._known:
            self._known[shape.name] = self._compile(shape)
        return self._known[shape.name]

    def _compile(self, shape: Shape) -> Reader:
        if isinstance(shape, StructureShape):
            members = {name: self.of(member) for name, member in shape.members.items()}
            return _structure(members, tuple(shape.required_members))
        if isinstance(shape, ListShape):
            return _list(self.of(shape.member), *_bounds(shape))
        if isinstance(shape, MapShape):
            return _map(self.of(shape.key), self.of(shape.value))
        if shape.type_name == "string":
            return _enum(list(shape.enum)) if shape.enum else _string(*_bounds(shape))
        return _SCALARS[shape.type_name]


def _bounds(shape: Shape) -> tuple[int, int | None]:
    return shape.metadata.get("min", 0), shape.metadata.get("max")


def _wrong(value: Any, path: str, valid: str, errors: Errors) -> None:
    shown = repr(value)[:_SHOWN]
    errors.append(
        f"Invalid type for parameter {path or 'input'}, value: {shown}, type: {type(value).__name__}, "
        f"valid types: {valid}"
    )


def _structure(members: dict[str, Reader], required: tuple[str, ...]) -> Reader:
    def read(value: Any, path: str, errors: Errors) -> Any:
        if type(value) is not dict:
            _wrong(value, path, "object", errors)
            return None
        found = {}
        for name, item in value.items():
            if item is not None and (member := members.get(name)) is not None:
                found[name] = member(item, f"{path}.{name}" if path else name, errors)
        for name in required:
            if name not in found:
                errors.append(f'Missing required parameter in {path or "input"}: "{name}"')
        return found

    return read


def _list(member: Reader, least: int, most: int | None) -> Reader:
    def read(value: Any, path: str, errors: Errors) -> Any:
        if type(value) is not list:
            _wrong(value, path, "list", errors)
            return None
        _check_length(len(value), path, least, most, errors)
        return [member(item, f"{path}[{place}]", errors) for place, item in enumerate(value)]

    return read


def _map(key: Reader, member: Reader) -> Reader:
    def read(value: Any, path: str, errors: Errors) -> Any:
        if type(value) is not dict:
            _wrong(value, path, "map", errors)
            return None
        return {
            key(name, f"{path} (key: {name[:_SHOWN]})", errors): member(item, f"{path}.{name}", errors)
            for name, item in value.items()
        }

    return read


def _string(least: int, most: int | None) -> Reader:
    def read(value: Any, path: str, errors: Errors) -> Any:
        if type(value) is not str:
            _wrong(value, path, "string", errors)
        elif not value.isascii() and not _is_text(value):
            errors.append(f"Invalid text for parameter {path}: it holds a lone surrogate")
        else:
            _check_length(len(value), path, least, most, errors)
        return value

    return read


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _enum(values: list[str]) -> Reader:
    spellings = {value.lower(): value for value in values}

    def read(value: Any, path: str, errors: Errors) -> Any:
        if type(value) is not str:
            _wrong(value, path, "string", errors)
            return None
        spelled = spellings.get(value.lower())
        if spelled is None:
            errors.append(f"{path} must be one of {', '.join(values)}, got {_printable(value)}")
        return spelled

    return read


def _printable(value: str) -> str:
    return value[:_SHOWN].encode(errors="replace").decode()


def _integer(least: int, most: int) -> Reader:
    def read(value: Any, path: str, errors: Errors) -> Any:
        if type(value) is not int:
            _wrong(value, path, "integer", errors)
        elif not least <= value <= most:
            errors.append(f"Invalid value for parameter {path}: it must be between {least} and {most}")
        return value

    return read


def _number(value: Any, path: str, errors: Errors) -> Any:
    if type(value) not in (int, float):
        _wrong(value, path, "number", errors)
    elif (type(value) is int and abs(value) > 2**63) or not math.isfinite(value):
        errors.append(f"Invalid value for parameter {path}: it must be a finite number")
    return value


def _boolean(value: Any, path: str, errors: Errors) -> Any:
    if type(value) is not bool:
        _wrong(value, path, "boolean", errors)
    return value


def _check_length(length: int, path: str, least: int, most: int | None, errors: Errors) -> None:
    if length < least or (most is not None and length > most):
        limit = f"at least {least}" if most is None else f"between {least} and {most}"
        errors.append(f"Invalid length for parameter {path}, value: {length}, it must be {limit}")


_SCALARS: dict[str, Reader] = {
    "integer": _integer(-(2**31), 2**31 - 1),
    "long": _integer(-(2**63), 2**63 - 1),
    "float": _number,
    "double": _number,
    "boolean": _boolean,
}
