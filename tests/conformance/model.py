"""Requests made from botocore's own model: valid ones, and ones that break a single constraint.

Nothing here reads the server's tables: botocore's model and this code are the second opinion.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

TIME = datetime(2026, 11, 1, tzinfo=timezone.utc)

#: Texts of which one fits each pattern of the models.
TEXTS = [
    "valid-name",
    "validname",
    "arn:aws:cloudtrail:us-east-1:123456789012:channel/c",
    "123456789012",
    "s3://bucket/prefix",
    "11111111-2222-3333-4444-555555555555",
    "12:00",
    "cloudtrail.amazonaws.com",
]

#: Texts of which one breaks each pattern that anything breaks.
UNFIT = ["!", "\n", " ", "\u0001", "é"]


def service_model(service: str):
    """The model of a service as botocore ships it."""
    return botocore.session.get_session().get_service_model(service)


def operations() -> list[tuple[str, str]]:
    """Every operation of both services."""
    return [
        (service, name)
        for service in ("cloudtrail", "cloudtrail-data")
        for name in service_model(service).operation_names
    ]


def operation(service: str, name: str) -> OperationModel:
    """One operation's model."""
    return service_model(service).operation_model(name)


def fits(text: str, shape: Shape) -> bool:
    """Whether a text keeps a string's constraints."""
    metadata = shape.metadata
    return (
        metadata.get("min", 0) <= len(text) <= metadata.get("max", len(text))
        and re.fullmatch(metadata.get("pattern", "(?s).*"), text) is not None
        and text in (metadata.get("enum") or [text])
    )


def sample(shape: Shape, *, every: bool = False):
    """A value that keeps the constraints; `every` adds the members that may be left out."""
    if isinstance(shape, StructureShape):
        return {
            name: sample(member, every=every)
            for name, member in shape.members.items()
            if every or name in shape.required_members
        }
    if isinstance(shape, ListShape):
        return [sample(shape.member, every=every)]
    if isinstance(shape, MapShape):
        return {sample(shape.key): sample(shape.value, every=every)}
    if shape.type_name == "string":
        texts = (shape.metadata.get("enum") or []) + TEXTS
        return next(text for text in texts if fits(text, shape))
    if shape.type_name in ("integer", "long"):
        return shape.metadata.get("min", 1)
    return {"boolean": True, "timestamp": TIME, "double": 1.5, "float": 1.5}[shape.type_name]


@dataclass(frozen=True)
class Break:
    """A request in which one constraint is broken."""

    #: What is broken and where, for the test's name.
    label: str
    #: The member as the server's message must name it.
    member: str
    request: dict


def breaks(shape: StructureShape) -> Iterator[Break]:
    """Every single way to break the constraints of an input."""
    whole = sample(shape, every=True)
    for path, label, value in broken_members(shape, ()):
        request = copy.deepcopy(whole)
        place = request
        for step in path[:-1]:
            place = place[step]
        if value is MISSING:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        dotted = ".".join(str(step) for step in path)
        names = [step for step in path if isinstance(step, str)]
        yield Break(f"{dotted}: {label}", names[0], request)


MISSING = object()


def broken_members(shape: Shape, path: tuple) -> Iterator[tuple]:
    """Paths into the sample, with a value that breaks a constraint there."""
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            if name in shape.required_members:
                yield (*path, name), "missing", MISSING
            yield from broken_members(member, (*path, name))
    elif isinstance(shape, ListShape):
        element = sample(shape.member, every=True)
        if shape.metadata.get("min", 0) >= 1:
            yield path, "too few", []
        if "max" in shape.metadata:
            yield path, "too many", [element] * (shape.metadata["max"] + 1)
        yield from broken_members(shape.member, (*path, 0))
    elif isinstance(shape, MapShape):
        value = sample(shape.value, every=True)
        if shape.metadata.get("min", 0) >= 1:
            yield path, "too few", {}
        for _, label, key in broken_members(shape.key, path):
            yield path, f"key {label}", {key: value}
        key = sample(shape.key)
        yield from broken_members(shape.value, (*path, key))
    elif shape.type_name == "string":
        yield from broken_strings(shape, path)
    elif shape.type_name in ("integer", "long"):
        if "min" in shape.metadata:
            yield path, "too small", shape.metadata["min"] - 1
        if "max" in shape.metadata:
            yield path, "too large", shape.metadata["max"] + 1


def broken_strings(shape: Shape, path: tuple) -> Iterator[tuple]:
    """Values that break a string's constraints."""
    metadata = shape.metadata
    whole = sample(shape)
    if metadata.get("min", 0) >= 1:
        yield path, "too short", whole[: metadata["min"] - 1]
    if "max" in metadata:
        yield path, "too long", (whole * (metadata["max"] + 1))[: metadata["max"] + 1]
    if metadata.get("enum"):
        yield path, "not in the enum", whole.swapcase()
    if "pattern" in metadata:
        for unfit in UNFIT:
            text = whole[:-1] + unfit
            if re.fullmatch(metadata["pattern"], text) is None:
                yield path, "against the pattern", text
                break


def unknown_members(shape: Shape | None, value, path: str = "") -> list[str]:
    """Members of an answer that the model does not have, and values of another type."""
    where = path or "answer"
    if value is None:
        return []
    if isinstance(shape, StructureShape):
        if not isinstance(value, dict):
            return [f"{where} is no structure"]
        names = {member.serialization.get("name", name): member
                 for name, member in shape.members.items()}
        found = [f"{path}.{name}" for name in value if name not in names]
        for name, member in names.items():
            found += unknown_members(member, value.get(name), f"{path}.{name}")
        return found
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            return [f"{where} is no list"]
        return [found for element in value
                for found in unknown_members(shape.member, element, f"{path}[]")]
    if isinstance(shape, MapShape):
        if not isinstance(value, dict):
            return [f"{where} is no map"]
        return [found for element in value.values()
                for found in unknown_members(shape.value, element, f"{path}{{}}")]
    if shape is None:
        return [] if not value else [f"{where} is not empty"]
    allowed = {
        "string": str, "blob": str, "boolean": bool, "integer": int, "long": int,
        "timestamp": (int, float), "double": (int, float), "float": (int, float),
    }[shape.type_name]
    return [] if isinstance(value, allowed) else [f"{where} is {type(value).__name__}"]
