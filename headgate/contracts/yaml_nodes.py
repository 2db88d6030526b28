"""YAML with places: a small, safe part of it, read so that every mistake has a line.

Taken are mappings, lists and scalars as YAML 1.2's core schema reads them: ``NO`` is a text,
``010`` is ten, ``1:30`` is a text. Anchors, aliases, tags and merges are refused: a few lines of
them make a billion values.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from headgate.errors import Invalid

MOST_CHARACTERS = 200_000
MOST_DEPTH = 20

Scalar: TypeAlias = str | int | float | bool | None
_WHOLE = re.compile(r"[-+]?[0-9]{1,60}\Z|0x[0-9a-fA-F]{1,60}\Z|0o[0-7]{1,60}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: Mapping[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value, and the line of the file it begins in, counted from 1.

    ``value`` is a scalar, a tuple of values, or a mapping of texts to values; ``keys`` holds the
    lines of a mapping's keys.
    """

    value: "Scalar | tuple[Value, ...] | Mapping[str, Value]"
    line: int
    keys: Mapping[str, int]

    @property
    def plain(self) -> object:
        """The value without places."""
        match self.value:
            case tuple():
                return [each.plain for each in self.value]
            case Mapping():
                return {key: each.plain for key, each in self.value.items()}
            case _:
                return self.value


def read_yaml(text: str, *, file: str) -> Value:
    """Read one YAML document.

    Raises:
        Invalid: ``contract-yaml``, with file and line.
    """
    if len(text) > MOST_CHARACTERS:
        raise wrong(file, 1, f"the file is longer than {MOST_CHARACTERS:,} characters.")
    try:
        _refuse_graphs(text, file)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise wrong(file, line, f"this is no YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise wrong(file, 1, f"this is no YAML: {' '.join(str(error).split())}.") from error
    if node is None:
        raise wrong(file, 1, "the file is empty.")
    return _value(node, file)


def wrong(file: str, line: int, message: str, hint: str | None = None) -> Invalid:
    """Give the error of something in a file."""
    return Invalid("contract-yaml", f"{file}:{line}: {message}", hint=hint, file=file, line=line)


def _refuse_graphs(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise wrong(
                file, line, "anchors and aliases are not part of contracts.", "Write it out."
            )
        if tag := getattr(event, "tag", None):
            raise wrong(file, line, f"the tag {tag} is not part of contracts.", "Leave it out.")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise wrong(file, line, f"values are nested deeper than {MOST_DEPTH} levels.")


def _value(node: yaml.Node, file: str) -> Value:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return Value(value=_scalar(node), line=line, keys={})
    if isinstance(node, yaml.SequenceNode):
        return Value(value=tuple(_value(each, file) for each in node.value), line=line, keys={})
    found: dict[str, Value] = {}
    lines: dict[str, int] = {}
    for key, each in _pairs(node):
        at = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise wrong(file, at, "a key is a text.")
        name: str = key.value
        if name in found:
            raise wrong(file, at, f"{name!r} is here twice; line {lines[name]} has it, too.")
        found[name], lines[name] = _value(each, file), at
    return Value(value=found, line=line, keys=lines)


def _pairs(node: yaml.Node) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    pairs: Sequence[tuple[yaml.Node, yaml.Node]] = node.value
    yield from pairs


def _scalar(node: yaml.ScalarNode) -> Scalar:
    text: str = node.value
    if node.style is not None:  # quoted, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.match(text):
        return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)
    if _FLOAT.match(text):
        return float(text)
    return text
