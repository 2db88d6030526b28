"""Discovery: which of the user's files declare pipelines, and what they declare."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from headgate.clock import Clock
from headgate.contracts import contract_files
from headgate.errors import Invalid, NotFound
from headgate.lake import Isolation
from headgate.names import suggestion
from headgate.pipelines import Declaration, Declared, Pipeline, PipelineDeclaration, collect
from headgate.project.imports import Code, stamp
from headgate.project.settings import Settings
from headgate.project.settings_file import FILE_NAME

_IMPORTS_HEADGATE = re.compile(rb"^\s*(from\s+|import\s+([^\n#]*,\s*)?)headgate\b", re.MULTILINE)
_NO_PIPELINES = re.compile(r"test_.*|.*_test|conftest|setup|noxfile|_.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What a project's files declared when they were imported.

    ``queries`` are the ``.sql`` files they name, and the contracts in YAML. ``stamps`` are the
    files' times and sizes at that moment: as long as they are the same, importing them again would
    give the same.
    """

    code: Code
    declared: Declared
    implied: bool = False
    files: tuple[Path, ...] = ()
    queries: tuple[Path, ...] = ()
    stamps: Mapping[Path, tuple[int, int]] = field(default_factory=dict)

    def is_current(self, settings: Settings) -> bool:
        """Whether no file came, went or changed since."""
        return self.files == files_of(settings) and self.stamps == _stamps(self.code, self.queries)

    def is_implied(self, pipeline: Pipeline) -> bool:
        """Whether a pipeline holds all steps because the project declares none itself."""
        return self.implied and pipeline.name == self.declared.pipelines[0].name

    def pipeline(self, name: str | None) -> Pipeline:
        """Give the pipeline of that name, or the only one.

        Raises:
            NotFound: ``unknown-pipeline``, ``no-pipelines``.
            Invalid: ``which-pipeline``.
        """
        named = {pipeline.name: pipeline for pipeline in self.declared.pipelines}
        if not named:
            shown = ", ".join(str(file.relative_to(self.code.root)) for file in self.files)
            raise NotFound(
                "no-pipelines",
                f"{self.code.root} declares no steps; looked into: {shown or 'no file'}.",
                hint=f"Declare one in a .py beside {FILE_NAME} that imports headgate, "
                "or name files under project.pipelines.",
            )
        if name is not None and name not in named:
            meant = suggestion(name, named)
            raise NotFound(
                "unknown-pipeline",
                f"There is no pipeline {name!r}; there are: {', '.join(named)}.",
                hint=f"Did you mean {meant}?" if meant else None,
                pipeline=name,
            )
        if name is None and len(named) > 1:
            raise Invalid(
                "which-pipeline",
                f"The project has several pipelines: {', '.join(named)}.",
                hint=f"Name one:  headgate run {next(iter(named))}",
                pipelines=list(named),
            )
        return named[name] if name is not None else next(iter(named.values()))


def discover(settings: Settings, *, clock: Clock) -> Discovery:
    """Import the project's files and read what they declare. Runs no step.

    Raises:
        Invalid: ``import-failed``, ``module-shadows``, ``no-such-pipeline-file``, and what reading
            declarations raises.
    """
    code = Code(settings.root, clock=clock)
    files = files_of(settings)
    with code.importable():
        modules = [code.load(file) for file in files]
        declared = collect(
            modules,
            root=settings.root,
            default=settings.name,
            isolation=cast("Isolation", settings.isolation),
            cache=settings.cache / "sql",
        )
    written = [value for module in modules for value in vars(module).values()]
    named = (
        settings.root / value.sql_file
        for value in written
        if isinstance(value, Declaration) and value.sql_file is not None
    )
    queries = (*named, *contract_files(settings.root))
    return Discovery(
        code=code,
        declared=declared,
        implied=not any(isinstance(value, PipelineDeclaration) for value in written),
        files=files,
        queries=queries,
        stamps=_stamps(code, queries),
    )


def _stamps(code: Code, queries: Iterable[Path]) -> Mapping[Path, tuple[int, int]]:
    return {**code.stamps(), **{file: stamp(file) for file in queries}}


def files_of(settings: Settings) -> tuple[Path, ...]:
    """Give the files to import, in the order of the settings; each directory's by name.

    Raises:
        Invalid: ``no-such-pipeline-file``.
    """
    if not settings.pipelines:
        return tuple(sorted(_found(settings.root)))
    listed = [file for entry in settings.pipelines for file in _files_in(settings.root, entry)]
    return tuple(dict.fromkeys(listed))


def _found(root: Path) -> Iterator[Path]:
    for file in root.glob("*.py"):
        if not _NO_PIPELINES.fullmatch(file.stem) and _IMPORTS_HEADGATE.search(file.read_bytes()):
            yield file


def _files_in(root: Path, entry: str) -> list[Path]:
    path = (root / entry).resolve()
    if path.is_relative_to(root):
        if path.is_dir():
            return sorted(
                file for file in path.glob("*.py") if not _NO_PIPELINES.fullmatch(file.stem)
            )
        for candidate in (path, path.with_name(f"{path.name}.py")):
            if candidate.suffix == ".py" and candidate.is_file():
                return [candidate]
    meant = suggestion(entry, (file.name for file in root.glob("*.py")))
    raise Invalid(
        "no-such-pipeline-file",
        f"{FILE_NAME} lists {entry!r} under project.pipelines, which is no Python file or "
        "directory of the project.",
        hint=f"Did you mean {meant}?" if meant else f"Paths are relative to {root}.",
        path=entry,
    )
