"""The JSON schema of contracts in YAML, for editors: made of the words that are read."""

from collections.abc import Mapping

from headgate.contracts.yaml_contracts import (
    COLUMN_KEYS,
    COLUMN_WORDS,
    CONTRACT_KEYS,
    SEVERITIES,
    TABLE_WORDS,
    UNDECLARED,
    Word,
)

Schema = Mapping[str, object]
_VALUES: Mapping[str, Schema] = {
    "severity": {"enum": list(SEVERITIES)},
    "name": {"type": "string", "description": "What the check is called in verdicts."},
    "at_least": {"type": "number", "minimum": 0},
    "at_most": {"type": "integer", "minimum": 0},
    "over": {"type": "integer", "minimum": 1, "maximum": 100},
    "keep": {"enum": ["first", "last"]},
    "regex": {"type": "string"},
    "sql": {"type": "string"},
    "max_age": {"type": "string", "pattern": r"^\d+(\.\d+)?\s*[smhd]$"},
    "column": {"type": "string"},
    "change": {
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "items": {"type": ["number", "null"]},
    },
}
_TEXTS: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_KEYS: Mapping[str, Schema] = {
    "type": {"type": "string", "description": "A column type; ' | null' lets NULL in."},
    "column": {"type": "string", "description": "The name the column has where it comes from."},
    "description": {"type": "string"},
    "not_null": {"enum": list(SEVERITIES), "description": "What a NULL does."},
}


def contract_schema() -> Schema:
    """Give the JSON schema of a contract file."""
    column = {
        "type": "object",
        "additionalProperties": False,
        "required": ["type"],
        "properties": {
            **{key: _KEYS[key] for key in COLUMN_KEYS},
            **{key: _rule(word, several=True) for key, word in COLUMN_WORDS.items()},
        },
    }
    rule = {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {key: _rule(word) for key, word in TABLE_WORDS.items()},
    }
    known: Mapping[str, Schema] = {
        "contract": {"type": "string", "description": "The contract's name."},
        "description": {"type": "string"},
        "undeclared": {"enum": list(UNDECLARED)},
        "severity": {"enum": list(SEVERITIES)},
        "columns": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"anyOf": [{"type": "string"}, column]},
        },
        "rules": {"type": "array", "items": rule},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "headgate contract",
        "type": "object",
        "additionalProperties": False,
        "required": ["columns"],
        "properties": {key: known[key] for key in CONTRACT_KEYS},
    }


def _rule(word: Word, *, several: bool = False) -> Schema:
    named: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _argument(name) for name in word.arguments},
    }
    forms: list[Schema] = [named]
    if word.bare is not None:
        forms.append(_argument(word.bare))
    if word.pair is not None:
        forms.append({"type": "array", "minItems": 2, "maxItems": 2})
    if word.bare is None and word.pair is None and several:
        forms.append({"const": True})
    if several:
        forms.append({"type": "array", "items": named})
    return {"anyOf": forms, "description": (word.make.__doc__ or "").splitlines()[0]}


def _argument(name: str) -> Schema:
    if name in {"targets", "columns", "order_by"}:
        return _TEXTS
    if name == "values":
        return {"type": ["array", "string", "number", "boolean"]}
    return _VALUES.get(name, {})
