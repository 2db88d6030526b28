"""Declarations in YAML: one file of an API, with a resource for each of its lists."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from headgate.errors import Invalid, NotFound
from headgate.names import suggestion


def from_file(options: Mapping[str, object], root: Path) -> dict[str, object]:
    """Lay a resource of a YAML file under the options: file, resource, what is said beside it.

    Raises:
        NotFound: ``file-missing``, ``rest-resource-missing``. Invalid: ``rest-yaml``.
    """
    name = str(options["file"])
    try:
        content = yaml.safe_load((root / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(
            "file-missing", f"There is no file {name} in {root}.", hint="Check file=.", path=name
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        place = getattr(error, "problem_mark", None)
        where = f"{name}:{place.line + 1}" if place is not None else name
        why = getattr(error, "problem", None) or "it is no YAML file"
        raise Invalid("rest-yaml", f"{where} cannot be read: {why}.", path=name) from error
    if not isinstance(content, dict):
        raise Invalid("rest-yaml", f"{name} is no mapping of options.", path=name)
    resources = content.pop("resources", None)
    own: Mapping[str, object] = {}
    wanted = options.get("resource")
    if resources is not None or wanted is not None:
        own = _resource(resources, wanted, name)
    beside = {key: value for key, value in options.items() if key not in {"file", "resource"}}
    return {**content, **own, **beside}


def _resource(
    resources: object, wanted: object, name: str, below: tuple[object, ...] = ()
) -> Mapping[str, object]:
    if wanted in below:
        raise Invalid("rest-yaml", f"{name}: {wanted!r} is its own parent.", path=name)
    known = resources if isinstance(resources, dict) else {}
    own = known.get(wanted)
    if not isinstance(own, dict):
        meant = suggestion(str(wanted), [str(each) for each in known])
        raise NotFound(
            "rest-resource-missing",
            f"{name} has no resource {wanted!r}; it has {', '.join(map(str, known)) or 'none'}.",
            hint=f"Did you mean {meant}?" if meant else 'Name one: resource="...".',
            path=name,
        )
    parent = own.get("parent")
    if isinstance(parent, str):
        above = dict(_resource(resources, parent, name, (*below, wanted)))
        return {**own, "parent": above}
    return own
