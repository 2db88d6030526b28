"""The code a step's output depends on, as one digest: its function and the project code it reaches.

Followed are globals, attributes of the project's modules, closures, defaults, methods, base
classes and values, from the function as it stands in memory; comments, formatting and docstrings
change nothing. Code outside the project counts by name (its version is the declared
environment's). A project module imported *inside* a function counts whole, by its file.

Not seen: what is looked up by text at run time (``getattr``, ``importlib``), and the state of what
cannot be pickled, like locks and open connections: that counts by its type.
"""

import copyreg
import functools
import importlib.machinery
import inspect
import marshal
import sys
import types
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from threading import RLock
from typing import Any, TypeAlias, cast

from headgate.digests import digest, digest_json
from headgate.errors import Internal
from headgate.pipelines import bytecode
from headgate.pipelines.bytecode import MARSHAL_VERSION, Import, Name
from headgate.pipelines.environment import installed
from headgate.pipelines.forms import PACKAGES
from headgate.pipelines.parameters import canonical
from headgate.pipelines.step_sets import PipelineDeclaration
from headgate.pipelines.steps import DECLARATION, Declaration, Step

_PYTHON = f"python {sys.version_info.major}.{sys.version_info.minor}"
_FORMAT = f"1 {_PYTHON}"
_FOREIGN_FOLDERS = frozenset({"site-packages", "dist-packages"})
_UNCOUNTED = sys.stdlib_module_names | {"headgate"}
_NAMED = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
_NOT_ATTRIBUTES = frozenset({DECLARATION, "__wrapped__"})
_SKIPPED_ATTRIBUTES = frozenset(
    {
        "__abstractmethods__",
        "__annotate__",
        "__annotate_func__",
        "__annotations__",
        "__annotations_cache__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__static_attributes__",
        "__weakref__",
        "_abc_impl",
    }
)

Expanded: TypeAlias = tuple[tuple[bytes | str, ...], tuple[object, ...]]
"""What a node is by itself, and the nodes it holds, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDigest:
    """The digest, and the foreign packages reached: each with its version, like ``polars 2.1.0``.

    ``python 3.11`` is always among them.
    """

    digest: str
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _ModuleFile:
    """A project module that a function imports when it runs: read from its file, never executed."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class _Package:
    """A foreign package, as a node."""

    name: str


class CodeDigests:
    """Digests of steps' code. Remembers what it read: make a new one when code was loaded anew.

    ``roots`` are the directories whose code is the project's own, any site-packages inside of them
    excepted. Threads may share it.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(f"{root.resolve()}/" for root in roots)
        self._lock = RLock()
        self._versions: dict[str, str] = {}
        self._own_files: dict[str, bool] = {}
        self._files: dict[str, _ModuleFile | None] = {}
        # Nodes are kept beside what they expand to: an id means something while its object lives.
        self._expanded: dict[int, tuple[object, Expanded]] = {}

    def of(self, step: Step) -> CodeDigest:
        """Give the digest of what computes a step, and of what its function takes and gives.

        Raises:
            Internal: ``step-without-code``.
        """
        shape = digest_json(
            [
                [
                    [one.table, one.argument, one.form, one.sized, one.incremental, one.changes]
                    for one in step.inputs
                ],
                [[one.argument, one.kind] for one in step.injected],
                [[one.name, one.argument, one.group is not None] for one in step.parameters],
                step.returns,
            ]
        )
        if step.sql is not None:
            return CodeDigest(digest=digest("sql", step.sql.digest, shape))
        if step.source is not None:
            options = digest_json(canonical(dict(step.source.options)))
            return CodeDigest(digest=digest("source", step.source.kind, options))
        if step.function is None:
            raise Internal("step-without-code", f"Step {step.name} has nothing that computes it.")
        groups = {one.group: None for one in step.parameters}
        forms = {*(one.form for one in step.inputs if one.form is not None), *step.returns}
        packages = {PACKAGES[form] for form in forms if form in PACKAGES}
        with self._lock:
            pieces = list(self._pieces((step.function, *groups), packages))
            return CodeDigest(
                digest=digest("code", _FORMAT, shape, *pieces), packages=self._named(packages)
            )

    def _named(self, packages: set[str]) -> tuple[str, ...]:
        unknown = packages - self._versions.keys()
        if unknown:
            self._versions.update(installed(unknown))
        return (_PYTHON, *(f"{name} {self._versions[name]}" for name in sorted(packages)))

    def _pieces(self, start: object, packages: set[str]) -> Iterator[bytes | str]:
        """Walk everything reached, in an order that depends on the code alone."""
        seen: dict[int, int] = {}
        waiting = [start]
        while waiting:
            node = waiting.pop()
            plain = _plain(node)
            if plain is not None:
                yield plain
                continue
            if id(node) in seen:
                yield f"again {seen[id(node)]}"
                continue
            seen[id(node)] = len(seen)
            known = self._expanded.get(id(node))
            if known is None:
                known = self._expanded[id(node)] = (node, self._expand(node))
            token, children = known[1]
            if isinstance(node, _Package):
                packages.add(node.name)
            yield from token
            yield f"holds {len(children)}"
            waiting.extend(reversed(children))

    # -- what a node is, and what it holds

    def _expand(self, node: object) -> Expanded:
        # By type(), not isinstance(): a proxy claims to be what it stands for, and may raise.
        kind = type(node)
        for base, expand in _EXPANDERS:
            if issubclass(kind, base):
                return expand(self, node)
        return self._instance(node)

    def _function(self, function: types.FunctionType) -> Expanded:
        cells = [_content(cell) for cell in function.__closure__ or ()]
        attributes = {n: v for n, v in vars(function).items() if n not in _NOT_ATTRIBUTES}
        held = (function.__defaults__, function.__kwdefaults__, attributes, *cells)
        if not self._is_own_code(function):
            home = sys.modules.get(function.__module__ or "")
            name = f"{function.__module__}.{function.__qualname__}"
            package = self._packages(function.__module__)
            if (
                not self._is_own_module(function.__module__)
                and _named_in(home, function.__qualname__) is function
            ):
                return ("foreign", name), package
            # Made by a foreign decorator or factory: what it was made of may be the project's.
            return ("foreign", function.__code__.co_name), (*package, *held)
        code = bytecode.read(function.__code__)
        names: list[str] = []
        values: list[object] = []
        for one in code.refers:
            for name, value in self._referred(one, function.__globals__):
                names.append(name)
                values.append(value)
        return ("function", *code.pieces, *names), (*held, *values)

    def _class(self, cls: type) -> Expanded:
        if not self._is_own_module(cls.__module__):
            name = f"{cls.__module__}.{cls.__qualname__}"
            return ("foreign", name), self._packages(cls.__module__)
        names = sorted(
            name
            for name in vars(cls)
            if name not in _SKIPPED_ATTRIBUTES
            and (not name.startswith("__pydantic") or name == "__pydantic_fields__")
        )
        try:
            annotations: object = inspect.get_annotations(cls)
        except NameError:
            annotations = None
        return (
            ("class", cls.__qualname__, *names),
            (type(cls), *cls.__bases__, annotations, *(vars(cls)[name] for name in names)),
        )

    def _module(self, module: types.ModuleType) -> Expanded:
        if not self.is_own(getattr(module, "__file__", None)):
            return ("module", module.__name__), self._packages(module.__name__)
        names = sorted(
            name for name in vars(module) if not (name.startswith("__") and name.endswith("__"))
        )
        return ("module", *names), tuple(vars(module)[name] for name in names)

    def _module_file(self, file: _ModuleFile) -> Expanded:
        try:
            loaded = importlib.machinery.SourceFileLoader(file.name, file.path).get_code(file.name)
        except (OSError, SyntaxError, ImportError, ValueError) as error:
            return ("unreadable module", type(error).__name__), ()
        if loaded is None:
            return ("unreadable module",), ()
        code = bytecode.read(loaded)
        package = file.name if file.path.endswith("__init__.py") else file.name.rpartition(".")[0]
        imports = [one for one in code.refers if isinstance(one, Import)]
        return ("module file", *code.pieces), tuple(
            value for one in imports for _, value in self._imported(one, package)
        )

    def _set(self, items: set[object] | frozenset[object]) -> Expanded:
        if type(items) not in (set, frozenset):
            return self._instance(items)
        packages: set[str] = set()
        digests = sorted(digest(*self._pieces(item, packages)) for item in items)
        return ("set", *digests), tuple(self._package(name) for name in sorted(packages))

    def _dict(self, items: Mapping[object, object]) -> Expanded:
        if type(items) not in (dict, types.MappingProxyType):
            return self._instance(items)
        return ("dict",), tuple(item for pair in items.items() for item in pair)

    def _list(self, items: Sequence[object]) -> Expanded:
        if type(items) not in (list, tuple):
            return self._instance(items)
        return (type(items).__name__,), tuple(items)

    def _builtin(self, function: types.BuiltinFunctionType) -> Expanded:
        owner = function.__self__
        if owner is not None and not isinstance(owner, types.ModuleType):
            return ("method", function.__name__), (owner,)
        return self._named_thing(function)

    def _named_thing(self, thing: types.BuiltinFunctionType) -> Expanded:
        packages = self._packages(getattr(thing, "__module__", None))
        return ("named", thing.__qualname__), packages

    def _instance(self, node: object) -> Expanded:
        """Take an object apart the way pickling does; what cannot be, counts by its type."""
        kind = type(node)
        try:
            reducer = copyreg.dispatch_table.get(kind)
            reduced = reducer(node) if reducer is not None else node.__reduce_ex__(4)
        except Exception:  # noqa: BLE001 - strangers' code; all it may do is refuse
            return ("opaque",), (kind, *_wrapped(node))
        if isinstance(reduced, str):
            return ("global", reduced), (kind, *_wrapped(node))
        make, arguments, *rest = reduced
        state, items, pairs = (*rest, None, None, None)[:3]
        if type(state) is dict:
            state = {name: value for name, value in state.items() if not _is_cache(kind, name)}
        return (
            ("instance",),
            (
                make,
                arguments,
                state,
                None if items is None else list(items),
                None if pairs is None else list(pairs),
            ),
        )

    # -- what names stand for

    def _referred(
        self, one: Name | Import, names: Mapping[str, object]
    ) -> Iterator[tuple[str, object]]:
        if isinstance(one, Import):
            package = names.get("__package__") or ""
            yield from self._imported(one, str(package))
            return
        if one.name not in names or (one.name.startswith("__") and one.name.endswith("__")):
            return
        value, path = names[one.name], one.name
        for attribute in one.attributes:
            if not isinstance(value, types.ModuleType) or not self.is_own(
                getattr(value, "__file__", None)
            ):
                break
            path = f"{path}.{attribute}"
            if attribute in vars(value):
                value = vars(value)[attribute]
                continue
            value = self._file(f"{value.__name__}.{attribute}")
            break
        yield path, value

    def _imported(self, one: Import, package: str) -> Iterator[tuple[str, object]]:
        name = one.name
        if one.level:
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - one.level + 1])
            name = f"{base}.{name}" if name else base
        parts = name.split(".")
        found = [self._file(".".join(parts[: count + 1])) for count in range(len(parts))]
        files = [file for file in found if file is not None]
        if not files:
            yield name, self._package(parts[0])
            return
        files += [
            file for member in one.members if (file := self._file(f"{name}.{member}")) is not None
        ]
        for file in files:
            yield file.name, file

    def _file(self, name: str) -> _ModuleFile | None:
        """Find a project module's file by its name, without importing anything."""
        if name not in self._files:
            self._files[name] = self._found_file(name)
        return self._files[name]

    def _found_file(self, name: str) -> _ModuleFile | None:
        path = name.replace(".", "/")
        for root in (
            *self._roots,
            *(f"{place}/" for place in sys.path if self.is_own(f"{place}/")),
        ):
            for candidate in (f"{root}{path}/__init__.py", f"{root}{path}.py"):
                if Path(candidate).is_file():
                    return _ModuleFile(name, candidate)
        return None

    # -- what is the project's own

    def is_own(self, file: str | None) -> bool:
        """Say whether a file is the project's own code. Code made at run time counts as its own."""
        if not file:
            return False
        known = self._own_files.get(file)
        if known is None:
            full = str(Path(file).resolve()) + ("/" if file.endswith("/") else "")
            known = file.startswith("<") or any(
                full.startswith(root) and _FOREIGN_FOLDERS.isdisjoint(full[len(root) :].split("/"))
                for root in self._roots
            )
            self._own_files[file] = known
        return known

    def _is_own_code(self, function: types.FunctionType) -> bool:
        return function.__module__ == "__main__" or self.is_own(function.__code__.co_filename)

    def _is_own_module(self, name: str | None) -> bool:
        """Say whether a module is the project's, even while it is not in ``sys.modules``."""
        if not name or name == "__main__" or name.partition(".")[0] in sys.stdlib_module_names:
            return name == "__main__"
        if self._file(name) is not None:
            return True
        return self.is_own(getattr(sys.modules.get(name), "__file__", None))

    def _packages(self, module: str | None) -> tuple[_Package, ...]:
        top = (module or "").partition(".")[0]
        # headgate's own version is the evaluator's, which the hall adds.
        if not top or top in _UNCOUNTED or self._is_own_module(module):
            return ()
        return (self._package(top),)

    def _package(self, name: str) -> _Package:
        return _Package(name)

    def _relative(self, path: str) -> str:
        for root in self._roots:
            if f"{path}/".startswith(root):
                return path[len(root) :]
        return path


_VANISHING = (
    weakref.ReferenceType,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
)
"""What loses and gains things by itself is no value: caches, mostly."""

_EXPANDERS: tuple[tuple[type, Callable[[CodeDigests, Any], Expanded]], ...] = (
    (types.FunctionType, CodeDigests._function),
    (type, CodeDigests._class),
    (types.ModuleType, CodeDigests._module),
    (types.MethodType, lambda _, node: (("method",), (node.__func__, node.__self__))),
    (types.BuiltinFunctionType, CodeDigests._builtin),
    (staticmethod, lambda _, node: (("staticmethod",), (node.__func__,))),
    (classmethod, lambda _, node: (("classmethod",), (node.__func__,))),
    (property, lambda _, node: (("property",), (node.fget, node.fset, node.fdel))),
    (functools.cached_property, lambda _, node: (("cached property",), (node.func,))),
    (functools.partial, lambda _, node: (("partial",), (node.func, node.args, node.keywords))),
    (dict, CodeDigests._dict),
    (types.MappingProxyType, CodeDigests._dict),
    (list, CodeDigests._list),
    (tuple, CodeDigests._list),
    (set, CodeDigests._set),
    (frozenset, CodeDigests._set),
    (PurePath, lambda self, node: (("path", self._relative(str(node))), ())),
    (Declaration, lambda _, node: (("step",), (node.function, node.sql, node.source))),
    (PipelineDeclaration, lambda _, __: (("pipeline",), ())),
    (_ModuleFile, CodeDigests._module_file),
    (_Package, lambda _, node: (("package", node.name), ())),
    *((kind, CodeDigests._named_thing) for kind in _NAMED),
    *((kind, lambda _, node: (("opaque",), (type(node),))) for kind in _VANISHING),
)
_ATOMS = (bool, int, float, complex, str, bytes, types.NoneType, types.EllipsisType)
_CONTAINERS = (list, tuple, dict, set, frozenset)


def _plain(node: object) -> bytes | None:
    """Give the bytes of plain data, at C speed; None where it holds anything else."""
    if type(node) not in _ATOMS and type(node) not in _CONTAINERS:
        return None
    try:
        return marshal.dumps(cast("Any", node), MARSHAL_VERSION)
    except ValueError:
        return None


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return "an empty cell"


def _named_in(module: types.ModuleType | None, qualified_name: str) -> object:
    found: object = module
    for name in qualified_name.split("."):
        found = getattr(found, name, None)
    return found


def _wrapped(node: object) -> tuple[object, ...]:
    """Give the function an object wraps (``functools.cache``), asking nobody's ``__getattr__``."""
    try:
        attributes = object.__getattribute__(node, "__dict__")
    except AttributeError:
        return ()
    found = attributes.get("__wrapped__") if type(attributes) is dict else None
    return () if found is None else (found,)


def _is_cache(kind: type, name: object) -> bool:
    """Say whether an attribute of instances holds what a property computed before."""
    return any(
        isinstance(vars(base).get(cast("str", name)), functools.cached_property)
        for base in kind.__mro__
    )
