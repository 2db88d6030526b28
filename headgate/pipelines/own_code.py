"""Which code is the project's own, and where a module of it lies. Imports nothing."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FOREIGN_FOLDERS = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A project module by its file, whether or not it is imported."""

    name: str
    path: str

    @property
    def package(self) -> str:
        """The package its relative imports begin from."""
        is_package = self.path.endswith("/__init__.py")
        return self.name if is_package else self.name.rpartition(".")[0]


class OwnCode:
    """Tells the project's code from everybody else's. Remembers what it looked up on disk.

    ``roots`` are the project's directories; a site-packages inside of them is not the project's.
    Code made at run time (``exec``, a console) counts as its own: nobody else answers for it.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(f"{root.resolve()}/" for root in roots)
        self._known: dict[str, bool] = {}
        self._files: dict[str, ModuleFile | None] = {}

    def has_file(self, file: str | None) -> bool:
        """Say whether a file or directory is the project's own code."""
        if not file:
            return False
        known = self._known.get(file)
        if known is None:
            known = self._known[file] = file.startswith("<") or self._is_inside(file)
        return known

    def has_module(self, name: str | None) -> bool:
        """Say whether a module is the project's, even while it is not in ``sys.modules``."""
        if not name or name == "__main__" or name.partition(".")[0] in sys.stdlib_module_names:
            return name == "__main__"
        if self.module_file(name) is not None:
            return True
        return self.has_file(getattr(sys.modules.get(name), "__file__", None))

    def module_file(self, name: str) -> ModuleFile | None:
        """Give a project module's file by its dotted name, None where the project has none."""
        if name not in self._files:
            self._files[name] = self._found(name)
        return self._files[name]

    def relative(self, path: str) -> str:
        """Give a path without the project's directory: a moved project is the same project."""
        for root in self._roots:
            if f"{path}/".startswith(root):
                return path[len(root) :]
        return path

    def _found(self, name: str) -> ModuleFile | None:
        path = name.replace(".", "/")
        searched = (f"{place}/" for place in sys.path if self.has_file(f"{place}/"))
        for folder in (*self._roots, *searched):
            for candidate in (f"{folder}{path}/__init__.py", f"{folder}{path}.py"):
                if Path(candidate).is_file():
                    return ModuleFile(name, candidate)
        return None

    def _is_inside(self, file: str) -> bool:
        full = f"{Path(file).resolve()}{'/' if file.endswith('/') else ''}"
        return any(
            full.startswith(root) and _FOREIGN_FOLDERS.isdisjoint(full[len(root) :].split("/"))
            for root in self._roots
        )
