"""compose.yaml as data: YAML as Compose reads it, variables replaced, every mistake with its file and line.

Compose's YAML is not PyYAML's: `yes` and `22:22` are text, `010` is 8, a key that appears twice is an error. So PyYAML only
composes the nodes here, and what a plain scalar stands for is decided by `compose_values.resolved`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from jeex_cli.compose_values import resolved
from jeex_cli.errors import ConfigError
from jeex_cli.interpolation import InterpolationError, Reference, RequiredVariable, interpolate, references

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"
Where: TypeAlias = "tuple[str | int, ...]"  # the keys and indexes that lead to a value

_DEEPEST = 100  # nested collections; Compose has no use for more than a dozen
_PLAIN = "!plain"  # the tag of a scalar that is neither quoted nor tagged
_STR = "tag:yaml.org,2002:str"
_CORE = (_PLAIN, *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")))
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")


class Date(str):
    """A date without quotes, as written: Compose would use it in a notation of its own."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # one of two classes
    # Everything plain gets the tag _PLAIN, in place of what YAML 1.1 would make of it.
    yaml_implicit_resolvers = {None: [(_PLAIN, re.compile(""))]}  # noqa: RUF012 - PyYAML's own type


@dataclass(frozen=True, slots=True)
class Document:
    """The nodes of a compose file. `error` turns a place in it into file and line."""

    file: Path
    root: yaml.MappingNode

    def content(self, variables: Mapping[str, str]) -> dict[str, Value]:
        """All of it, aliases and merge keys resolved, with `variables` put into the values. Raises ConfigError."""
        content = _Builder(self, variables).value(self.root)
        return content if isinstance(content, dict) else {}

    def text(self, key: str, variables: Mapping[str, str]) -> tuple[str, str]:
        """The text of a top-level key, as written and with `variables`; empty where there is none. Raises ConfigError."""
        node = _child(self.root, key)
        if node is None:
            return "", ""
        if not isinstance(node[1], yaml.ScalarNode) or not isinstance(_raw(node[1]), str):
            raise self.error((key,), "text was expected", "put it in quotes")
        return node[1].value, str(_Builder(self, variables, [key]).value(node[1]))

    def references(self) -> Iterator[Reference]:
        """Every variable that a value names, in the order of the file. Raises ConfigError."""
        nodes: list[yaml.Node] = [self.root]
        seen: set[int] = set()
        while nodes:
            node = nodes.pop()
            if id(node) in seen:  # an alias
                continue
            seen.add(id(node))
            if isinstance(node, yaml.ScalarNode):
                try:
                    yield from references(node.value)
                except InterpolationError as error:
                    raise _at(self.file, _line(node.start_mark), str(error), "correct the variable") from error
            elif isinstance(node, yaml.MappingNode):
                nodes.extend(value for _, value in reversed(node.value))
            else:
                nodes.extend(reversed(node.value))

    def error(self, where: Where, what: str, fix: str) -> ConfigError:
        """The error of the value at `where`, or of what would hold it; the fix also names the variables in that value."""
        node: yaml.Node = self.root
        mark = node.start_mark
        for step in where:
            found = _child(node, step)
            if found is None:
                break
            mark, node = found
        else:
            if isinstance(node, yaml.ScalarNode) and (names := {one.name for one in references(node.value)}):
                fix = f"correct {', '.join(sorted(names))} in .env or the environment; {fix}"
        return _at(self.file, _line(mark), f"{_dotted(where)}: {what}" if where else what, fix)


def read(file: Path) -> Document:
    """The document in `file`, its variables not yet replaced. Raises ConfigError."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = f"it is not UTF-8 text (byte {error.start})" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise ConfigError(f"cannot read {file}: {why}", hint=f"look at it: ls -l '{file}'") from error
    try:
        root = None if _too_deep(text) else yaml.compose(text, _Loader)
    except yaml.YAMLError as error:
        raise _at(file, *_yaml_problem(error, text), "correct it") from error
    except RecursionError:  # PyYAML without libyaml
        root = None
    if root is None:
        what = f"nested more than {_DEEPEST} deep" if text.strip() else "the file is empty"
        raise ConfigError(f"{file}: {what}", hint="restore it from version control")
    if not isinstance(root, yaml.MappingNode):
        raise _at(file, _line(root.start_mark), "not a compose file: `services:` and other keys were expected", "restore it")
    return Document(file, root)


def _yaml_problem(error: yaml.YAMLError, text: str) -> tuple[int | None, str]:
    """The line of the mistake, and what it is. For what is never closed that is where it begins."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return None, f"not valid YAML: {getattr(error, 'reason', 'it cannot be read')}"
    lines = [_line(mark) for mark in (error.problem_mark, error.context_mark) if mark is not None]
    last = len(text.rstrip().splitlines())
    line = next((line for line in lines if line <= last), last)
    return line, "not valid YAML: " + ", ".join(filter(None, (error.context, error.problem)))


def _too_deep(text: str) -> bool:
    # libyaml's composer recurses in C and crashes the process at some ten thousand levels. Every level takes one of these
    # characters (or ever more indentation), so the slow, certain count is for files that hold implausibly many.
    if sum(map(text.count, "[{-?")) < 2_000:
        return False
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            return True
    return False


def _at(file: Path, line: int | None, what: str, fix: str) -> ConfigError:
    if line is None:
        return ConfigError(f"{file}: {what}", hint=fix)
    return ConfigError(f"{file}:{line}: {what}", hint=f"{fix} (line {line} of {file})")


def _line(mark: yaml.Mark) -> int:
    return mark.line + 1


def _dotted(where: Where) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Mark, yaml.Node] | None:
    """Where `step` is written, and its node."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return (node.value[step].start_mark, node.value[step]) if step < len(node.value) else None
    nodes = [node]
    for one in nodes:  # grows by what is merged in
        for key, value in one.value if isinstance(one, yaml.MappingNode) else ():
            if key.value == step:
                return key.start_mark, value
            if _is_merge(key):
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                nodes.extend(other for other in merged if other not in nodes)
    return None


def _is_merge(key: yaml.Node) -> bool:
    return bool(key.value == "<<" and key.tag == _PLAIN)


@dataclass(slots=True)
class _Builder:
    document: Document
    variables: Mapping[str, str]
    where: list[str | int] = field(default_factory=list)
    # What an alias stands for is built once; a node that is being built and met again contains itself.
    built: dict[int, Value] = field(default_factory=dict)
    building: set[int] = field(default_factory=set)

    def value(self, node: yaml.Node) -> Value:
        if id(node) in self.built:
            return self.built[id(node)]
        if id(node) in self.building:
            raise self.error(node, "an alias that contains itself", "write out what it stands for")
        if len(self.where) > _DEEPEST:
            raise self.error(node, f"nested more than {_DEEPEST} deep", "write it flatter")
        if node.tag not in _CORE:
            raise self.error(node, f"the tag {node.tag} means nothing to jeex", "leave the tag out")
        self.building.add(id(node))
        built: Value
        if isinstance(node, yaml.ScalarNode):
            built = self.text(node) if isinstance(raw := _raw(node), str) else raw
        elif isinstance(node, yaml.MappingNode):
            built = self.mapping(node)
        else:
            built = [self.below(index, item) for index, item in enumerate(node.value)]
        self.building.discard(id(node))
        self.built[id(node)] = built
        return built

    def below(self, step: str | int, node: yaml.Node) -> Value:
        self.where.append(step)
        value = self.value(node)
        self.where.pop()
        return value

    def text(self, node: yaml.ScalarNode) -> str:
        try:
            text = interpolate(node.value, self.variables)
        except RequiredVariable as error:
            fix = f"set it in .env ({error.name}=...), or in the environment: export {error.name}=..."
            raise self.error(node, str(error), fix) from error
        except InterpolationError as error:
            raise self.error(node, str(error), "correct the variable") from error
        if "\0" in text:
            raise self.error(node, "a NUL character, which no program can be given", "leave it out")
        return Date(text) if node.tag == _PLAIN and _DATE.fullmatch(node.value) else text

    def mapping(self, node: yaml.MappingNode) -> dict[str, Value]:
        own: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        lines: dict[object, int] = {}
        for key, node_value in node.value:
            if not isinstance(key, yaml.ScalarNode) or not isinstance(_raw(key), str):
                raise self.error(key, "a key that is no text", "put the key in quotes")
            name = (key.value, _is_merge(key))
            if name in lines:
                raise self.error(key, f"the key {key.value!r} is in line {lines[name]} already", "keep one of the two")
            lines[name] = _line(key.start_mark)
            value = self.below(key.value, node_value)
            if not _is_merge(key):
                own[key.value] = value
                continue
            for other in value if isinstance(value, list) else [value]:
                if not isinstance(other, dict):
                    raise self.error(key, "`<<` takes a mapping or a list of mappings", "name an anchor: <<: *name")
                merged = {**other, **merged}  # of several, the first wins
        return {**merged, **own}

    def error(self, node: yaml.Node, what: str, fix: str) -> ConfigError:
        where = _dotted(tuple(self.where))
        return _at(self.document.file, _line(node.start_mark), f"{where}: {what}" if where else what, fix)


def _raw(node: yaml.ScalarNode) -> str | int | float | bool | None:
    """What the scalar stands for before interpolation."""
    return str(node.value) if node.tag == _STR else resolved(node.value)
