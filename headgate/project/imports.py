"""Importing the user's files: by themselves, fresh, and without leaving names behind.

While a ``Code`` is entered its modules stand in ``sys.modules`` under their plain names, so that
imports inside functions, pickles and annotations work; when it is left, whatever stood there before
stands there again. Two projects with a ``flights.py`` each never meet.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from importlib import import_module, invalidate_caches
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import cache_from_source, module_from_spec, spec_from_file_location
from pathlib import Path
from threading import RLock
from types import CodeType, ModuleType

from headgate.clock import Clock, SystemClock
from headgate.errors import HeadgateError, Invalid

_OURS = frozenset(
    {"click", "duckdb", "headgate", "msgspec", "polars", "pyarrow", "pyiceberg", "rich", "sqlglot"}
)
_RESERVED = _OURS | sys.stdlib_module_names
_SETTLED = timedelta(seconds=2)
"""Bytecode tells sources apart by size and whole seconds: younger than this it proves nothing."""

_IMPORTED_NOW: ContextVar[tuple[Path, ...]] = ContextVar("imported_now", default=())


class Code:
    """The modules of one project. Enter it while the user's code runs; entering again is cheap."""

    def __init__(self, root: Path, *, clock: Clock | None = None) -> None:
        self.root = root.resolve()
        self._clock = clock or SystemClock()
        self._modules: dict[str, ModuleType] = {}
        self._others: dict[str, ModuleType] = {}
        self._finder = _Finder(self.root, self._clock)
        self._entered = 0
        self._lock = RLock()

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Let the project's modules be found, until the end of the block."""
        with self._lock:
            if not self._entered:
                self._come()
            self._entered += 1
        try:
            yield
        finally:
            with self._lock:
                self._entered -= 1
                if not self._entered:
                    self._go()

    def load(self, file: Path) -> ModuleType:
        """Import one file of the project, and what it imports.

        Raises:
            Invalid: ``import-failed``, ``module-shadows``, ``import-runs-project``.
            HeadgateError: what a declaration in the file refused.
        """
        self._refuse_shadows(file)
        name = module_name(file.relative_to(self.root))
        with self.importable(), _once(file, self.root):
            try:
                return self._imported(name, file)
            except HeadgateError as error:
                _say_place(error, self.root)
                raise
            except (Exception, SystemExit) as error:
                raise _import_failed(file.relative_to(self.root), error, self.root) from error

    def stamps(self) -> Mapping[Path, tuple[int, int]]:
        """Give every file that was imported, with time and size as they are now."""
        found = [getattr(module, "__file__", None) for module in self._modules.values()]
        return {Path(file): stamp(Path(file)) for file in found if file}

    def _imported(self, name: str, file: Path) -> ModuleType:
        if all(part.isidentifier() for part in name.split(".")):
            return import_module(name)
        if name not in sys.modules:
            spec = spec_from_file_location(name, file, loader=_Loader(name, str(file), self._clock))
            module = module_from_spec(spec) if spec else ModuleType(name)
            sys.modules[name] = module
            try:
                if spec and spec.loader:
                    spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
        return sys.modules[name]

    def _come(self) -> None:
        invalidate_caches()
        self._others = _taken_out(self._tops())
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self._finder)

    def _go(self) -> None:
        sys.meta_path.remove(self._finder)
        self._modules = {**self._modules, **_taken_out(self._tops())}
        sys.modules.update(self._others)
        self._others = {}

    def _tops(self) -> set[str]:
        self._finder.look()
        return {*self._finder.tops, *(name.partition(".")[0] for name in self._modules)}

    def _refuse_shadows(self, file: Path) -> None:
        self._finder.look()
        hidden = sorted(_RESERVED.intersection(self._finder.tops))
        if hidden:
            raise Invalid(
                "module-shadows",
                f"{self.root.name} has a module called {hidden[0]}, which would hide "
                f"{'Python' if hidden[0] in sys.stdlib_module_names else 'a library'}'s {hidden[0]}"
                f" from {file.name}.",
                hint=f"Give {self.root / hidden[0]} another name.",
                module=hidden[0],
            )


@contextmanager
def _once(file: Path, root: Path) -> Iterator[None]:
    """Refuse a file that opens its own project while it is imported: that would have no end."""
    if file in _IMPORTED_NOW.get():
        raise Invalid(
            "import-runs-project",
            f"{file.relative_to(root)} uses its own project while it is imported for its steps.",
            hint='Put what it does under  if __name__ == "__main__":',
            file=str(file.relative_to(root)),
        )
    token = _IMPORTED_NOW.set((*_IMPORTED_NOW.get(), file))
    try:
        yield
    finally:
        _IMPORTED_NOW.reset(token)


def module_name(path: Path) -> str:
    """Give the dotted name of a file: ``pipelines/flights.py`` is ``pipelines.flights``."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def frames_of(error: BaseException, root: Path) -> tuple[str, ...]:
    """Give the user's own part of a traceback: ``flights.py:31 in delays``, and the line."""
    import traceback  # noqa: PLC0415 - only when something went wrong

    found: list[str] = []
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(root):
            found.append(f"{path.relative_to(root)}:{frame.lineno} in {frame.name}")
            found += [f"  {frame.line}"] if frame.line else []
    if isinstance(error, SyntaxError) and error.filename and error.text:
        path = Path(error.filename)
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        found += [f"{shown}:{error.lineno}", f"  {error.text.strip()}"]
    return tuple(found)


def _say_place(error: HeadgateError, root: Path) -> None:
    """Let a refused declaration say where it stands, unless its message does."""
    frames = [line for line in frames_of(error, root) if not line.startswith(" ")]
    place = frames[-1].partition(" in ")[0] if frames else ""
    if place.partition(":")[0] not in error.message:
        error.message = f"{place}: {error.message}"
        error.args = (error.message,)


def _import_failed(file: Path, error: BaseException, root: Path) -> Invalid:
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    frames = frames_of(error, root)
    lines = [f"{file} cannot be imported: {type(error).__name__}: {said}".rstrip(": "), *frames]
    place = next((line for line in reversed(frames) if not line.startswith(" ")), str(file))
    return Invalid(
        "import-failed",
        "\n".join(lines),
        hint=f"Mend {place.partition(' in ')[0]}, and try again. Nothing was run.",
        file=str(file),
    )


def _taken_out(tops: set[str]) -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in tops]
    return {name: sys.modules.pop(name) for name in names}


def stamp(file: Path) -> tuple[int, int]:
    """Give a file's time and size; of a file that is gone, what no file has."""
    try:
        status = file.stat()
    except OSError:
        return (0, -1)
    return status.st_mtime_ns, status.st_size


class _Finder:
    """Finds modules in the project's directory, and nowhere else."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self.tops: frozenset[str] = frozenset()

    def look(self) -> None:
        """See which names can be imported from the project: files, and directories with code."""
        self.tops = frozenset(self._found())

    def _found(self) -> Iterator[str]:
        for path in self._root.iterdir():
            if path.suffix == ".py" and path.stem.isidentifier():
                yield path.stem
            elif path.name.isidentifier() and path.is_dir():
                if not os.access(path, os.R_OK | os.X_OK):
                    continue
                ordinary = (path / "__init__.py").exists()
                if ordinary or (path.name not in _RESERVED and any(path.glob("*.py"))):
                    yield path.name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of the project, to be loaded without trusting young bytecode."""
        del target
        if path is not None and not any(Path(each).is_relative_to(self._root) for each in path):
            return None
        if path is None and fullname not in self.tops:
            return None
        spec = PathFinder.find_spec(fullname, [str(self._root)] if path is None else path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader) and spec.origin:
            spec.loader = _Loader(fullname, spec.origin, self._clock)
        return spec


class _Loader(SourceFileLoader):
    """Loads a source file; bytecode counts only if it is clearly younger than the source."""

    def __init__(self, fullname: str, path: str, clock: Clock) -> None:
        super().__init__(fullname, path)
        self._clock = clock

    def get_code(self, fullname: str) -> CodeType | None:
        """Give the code of the file as it is now."""
        source = Path(self.get_filename(fullname))
        cache = Path(cache_from_source(str(source)))
        changed = _changed(source)
        if not cache.exists() or _changed(cache) - changed < _SETTLED:
            if self._clock.now() - changed < _SETTLED:
                return self.source_to_code(source.read_bytes(), str(source))
            cache.unlink(missing_ok=True)
        return super().get_code(fullname)


def _changed(file: Path) -> datetime:
    """Give when a file was last changed, whatever its time of modification was set to."""
    stat = file.stat()
    return datetime.fromtimestamp(max(stat.st_mtime, stat.st_ctime), UTC)
