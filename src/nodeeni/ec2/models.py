"""botocore's models cut down to the calls that we make.

EC2's model describes 700 actions and every field of them: as Python objects some 20 MB, and each answer is
parsed by all of it. The whole file is read, but only what is reachable from our actions is kept, without
its prose, and of an answer's shapes only the fields that we read.
"""

import gzip
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from botocore.loaders import JSONFileLoader, Loader

_SERVICES = ("ec2", "sts", "servicequotas")


class _Model(msgspec.Struct):
    metadata: dict[str, Any]
    operations: dict[str, msgspec.Raw]
    shapes: dict[str, msgspec.Raw]
    version: str = "2.0"


class _Partition(msgspec.Struct, omit_defaults=True):
    partition: str
    partition_name: str = msgspec.field(name="partitionName")
    dns_suffix: str = msgspec.field(name="dnsSuffix")
    region_regex: str = msgspec.field(name="regionRegex")
    regions: dict[str, Any]
    defaults: dict[str, Any]
    services: dict[str, msgspec.Raw]


class _Endpoints(msgspec.Struct):
    partitions: list[_Partition]
    version: int


def cut_loader(actions: Iterable[str], read: Mapping[str, frozenset[str]]) -> Loader:
    """A loader whose EC2 model knows `actions` alone and of the shapes in `read` those fields alone; its
    endpoints are those of the services that we call. What is sent is not to be named in `read`.
    """
    return Loader(file_loader=_CutFiles(frozenset(actions), read))


class _CutFiles(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    def __init__(self, actions: frozenset[str], read: Mapping[str, frozenset[str]]) -> None:
        self._actions = actions
        self._read_fields = read

    def load_file(self, file_path: str) -> Any:
        path = Path(file_path)
        if path.name == "endpoints":
            return self._read(path, _cut_endpoints)
        if path.name == "service-2" and path.parent.parent.name == "ec2":
            return self._read(path, self._cut_model)
        return super().load_file(file_path)

    def _read(self, path: Path, cut: Callable[[bytes], Any]) -> Any:
        for suffix, opened in ((".json", Path.read_bytes), (".json.gz", _unzipped)):
            file = path.with_name(path.name + suffix)
            if file.is_file():
                return cut(opened(file))
        return None

    def _cut_model(self, raw: bytes) -> dict[str, Any]:
        model = msgspec.json.decode(raw, type=_Model)
        operations = {
            name: _plain(model.operations[name]) for name in self._actions & model.operations.keys()
        }
        shapes: dict[str, Any] = {}
        waiting = [shape for operation in operations.values() for shape in _named_shapes(operation)]
        while waiting:
            name = waiting.pop()
            if name not in shapes:
                shapes[name] = self._cut_shape(name, _plain(model.shapes[name]))
                waiting.extend(_named_shapes(shapes[name]))
        return {
            "version": model.version,
            "metadata": model.metadata,
            "operations": operations,
            "shapes": shapes,
        }

    def _cut_shape(self, name: str, shape: dict[str, Any]) -> dict[str, Any]:
        """Times stay text: whoever needs one reads it, and thousands are never needed."""
        if shape["type"] == "timestamp":
            return {"type": "string"}
        if name not in self._read_fields:
            return shape
        members = {key: shape["members"][key] for key in self._read_fields[name]}
        return {**shape, "members": members}


def _cut_endpoints(raw: bytes) -> Any:
    endpoints = msgspec.json.decode(raw, type=_Endpoints)
    for partition in endpoints.partitions:
        partition.services = {
            name: partition.services[name] for name in _SERVICES if name in partition.services
        }
    return msgspec.json.decode(msgspec.json.encode(endpoints))


def _unzipped(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes())


def _plain(raw: msgspec.Raw) -> Any:
    return _without_prose(msgspec.json.decode(raw))


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_prose(item)
            for key, item in value.items()
            if not (key == "documentation" and isinstance(item, str))
        }
    return [_without_prose(item) for item in value] if isinstance(value, list) else value


def _named_shapes(value: Any) -> list[str]:
    """The shapes that an operation or a shape refers to."""
    if isinstance(value, dict):
        own = [value["shape"]] if isinstance(value.get("shape"), str) else []
        return own + [name for item in value.values() for name in _named_shapes(item)]
    if isinstance(value, list):
        return [name for item in value for name in _named_shapes(item)]
    return []
