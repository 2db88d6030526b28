"""A new project: pipeline, contract, mock data, tests and CI, green before anything is edited."""

import re
import sys
from pathlib import Path

import headgate
from headgate.errors import AlreadyExists, Unavailable
from headgate.names import step_name

_TEMPLATES = Path(__file__).parent / "scaffold"
_RENAMED = {
    "pipeline.py": "{module}.py",
    "gitignore": ".gitignore",
    "github/workflows/ci.yml": ".github/workflows/ci.yml",
    "tests/test_pipeline.py": "tests/test_{module}.py",
}


def scaffold(directory: Path, *, name: str | None = None) -> tuple[Path, ...]:
    """Write a project that runs and passes its tests; give its files, relative to ``directory``.

    Nothing that exists is overwritten: either every file is new or none is written.

    Raises:
        AlreadyExists: ``project-exists``.
        Invalid: ``bad-step-name``.
        Unavailable: ``cannot-write``.
    """
    directory = directory.absolute()
    name = step_name(name if name is not None else _name_of(directory))
    texts = _texts(name)
    taken = [path for path in texts if (directory / path).exists()]
    if taken:
        raise AlreadyExists(
            "project-exists",
            f"{directory} holds {', '.join(map(str, taken))} already; nothing was written.",
            hint="Choose an empty directory:  headgate init NAME",
            path=str(directory),
        )
    try:
        for path, text in texts.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Unavailable(
            "cannot-write",
            f"{directory} cannot be written: {error.strerror}.",
            hint="Choose another directory, or mend its permissions.",
            path=str(directory),
        ) from error
    return tuple(texts)


def _name_of(directory: Path) -> str:
    text = re.sub(r"\W+", "_", directory.name).strip("_").lower()
    return text if re.match(r"[^\W\d]", text) else f"project_{text}".rstrip("_")


def _module_of(name: str) -> str:
    module = name.replace("-", "_")
    hides = module in sys.stdlib_module_names or module in {"headgate", "polars", "tests"}
    return f"{module}_pipeline" if hides else module


def _texts(name: str) -> dict[Path, str]:
    module = _module_of(name)
    values = {"name": name, "module": module, "version": headgate.__version__}
    found = {}
    for template in sorted(_TEMPLATES.rglob("*.txt")):
        text = template.read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"@@{key}@@", value)
        plain = template.relative_to(_TEMPLATES).as_posix().removesuffix(".txt")
        found[Path(_RENAMED.get(plain, plain).format(module=module))] = text
    return found
