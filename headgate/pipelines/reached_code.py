"""Everything a function reaches, as a stream of pieces that depends on the code alone.

Values, functions, classes and modules are nodes of a graph. A node is expanded into what it is by
itself and the nodes it holds; the walk goes depth first, in the order of the code, and says
"again" where it meets a node a second time. Nothing depends on ids, hashes or places in memory.
"""

import copyreg
import functools
import inspect
import marshal
import sys
import types
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeAlias, cast

from headgate.digests import digest
from headgate.pipelines import bytecode
from headgate.pipelines.bytecode import MARSHAL_VERSION, Import, Name
from headgate.pipelines.declared_steps import DECLARATION, Declaration
from headgate.pipelines.own_code import ModuleFile, OwnCode
from headgate.pipelines.step_sets import PipelineDeclaration

# headgate's own version is the evaluator's, which the hall adds.
_UNCOUNTED_PACKAGES = sys.stdlib_module_names | {"headgate"}
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
        "__slotnames__",
        "__static_attributes__",
        "__weakref__",
        "_abc_impl",
    }
)
_ATOMS = (bool, int, float, complex, str, bytes, types.NoneType, types.EllipsisType)
_CONTAINERS = (list, tuple, dict, set, frozenset)

Expanded: TypeAlias = tuple[tuple[bytes | str, ...], tuple[object, ...]]
"""What a node is by itself, and the nodes it holds, in order."""


@dataclass(frozen=True, slots=True)
class _Package:
    """A foreign package, as a node."""

    name: str


class ReachedCode:
    """Walks from functions to all they reach. Remembers every node it expanded, as it was then."""

    def __init__(self, own: OwnCode) -> None:
        self.own = own
        # Nodes are kept beside what they expand to: an id means something while its object lives.
        self._expanded: dict[int, tuple[object, Expanded]] = {}

    def pieces(self, start: object, packages: set[str]) -> Iterator[bytes | str]:
        """Give the pieces of all that is reached; foreign packages' names go into ``packages``."""
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
            if type(node) is _Package:
                packages.add(node.name)
            token, held = known[1]
            yield from token
            yield f"holds {len(held)}"
            waiting.extend(reversed(held))

    def package_of(self, module: str | None) -> tuple[_Package, ...]:
        """Give the foreign package a module is in, as nodes; none for the project's own."""
        top = (module or "").partition(".")[0]
        if not top or top in _UNCOUNTED_PACKAGES or self.own.has_module(module):
            return ()
        return (_Package(top),)

    def _expand(self, node: object) -> Expanded:
        # By type(), not isinstance(): a proxy claims to be what it stands for, and may raise.
        kind = type(node)
        for base, expand in _EXPANDERS:
            if issubclass(kind, base):
                return expand(self, node)
        return _instance(self, node)


# -- functions


def _function(reached: ReachedCode, function: types.FunctionType) -> Expanded:
    attributes = {n: v for n, v in vars(function).items() if n not in _NOT_ATTRIBUTES}
    cells = [_content(cell) for cell in function.__closure__ or ()]
    held = (function.__defaults__, function.__kwdefaults__, attributes, *cells)
    own = reached.own
    if function.__module__ != "__main__" and not own.has_file(function.__code__.co_filename):
        package = reached.package_of(function.__module__)
        if not own.has_module(function.__module__) and _is_importable(function):
            return ("foreign", f"{function.__module__}.{function.__qualname__}"), package
        # Made by a foreign decorator or factory: what it was made of may be the project's.
        return ("foreign", function.__code__.co_name), (*package, *held)
    code = bytecode.read(function.__code__)
    names: list[str] = []
    values: list[object] = []
    for one in code.refers:
        for name, value in _referred(reached, one, function.__globals__):
            names.append(name)
            values.append(value)
    return ("function", *code.pieces, *names), (*held, *values)


def _builtin(reached: ReachedCode, function: types.BuiltinFunctionType) -> Expanded:
    owner = function.__self__
    if owner is not None and not isinstance(owner, types.ModuleType):
        return ("method", function.__name__), (owner,)
    return _named(reached, function)


def _named(reached: ReachedCode, thing: types.BuiltinFunctionType) -> Expanded:
    return ("named", thing.__qualname__), reached.package_of(getattr(thing, "__module__", None))


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return "an empty cell"


def _is_importable(function: types.FunctionType) -> bool:
    found: object = sys.modules.get(function.__module__ or "")
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is function


# -- classes and modules


def _class(reached: ReachedCode, cls: type) -> Expanded:
    if not reached.own.has_module(cls.__module__):
        return (
            ("foreign", f"{cls.__module__}.{cls.__qualname__}"),
            reached.package_of(cls.__module__),
        )
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


def _module(reached: ReachedCode, module: types.ModuleType) -> Expanded:
    """Take a whole module: where it is handed on, anything of it may be used."""
    if not reached.own.has_file(getattr(module, "__file__", None)):
        return ("module", module.__name__), reached.package_of(module.__name__)
    names = sorted(
        name for name in vars(module) if not (name.startswith("__") and name.endswith("__"))
    )
    return ("module", *names), tuple(vars(module)[name] for name in names)


def _module_file(reached: ReachedCode, file: ModuleFile) -> Expanded:
    """Take a module by its file: a function imports it when it runs.

    Compiled anew: Python's cache takes an edit of equal length within a second for none.
    """
    try:
        code = bytecode.read(
            compile(Path(file.path).read_bytes(), file.path, "exec", dont_inherit=True)
        )
    except (OSError, SyntaxError, ValueError) as error:
        return ("unreadable module", type(error).__name__), ()
    imports = [one for one in code.refers if isinstance(one, Import)]
    return ("module file", *code.pieces), tuple(
        value for one in imports for _, value in _imported(reached, one, file.package)
    )


# -- what names stand for


def _referred(
    reached: ReachedCode, one: Name | Import, names: Mapping[str, object]
) -> Iterator[tuple[str, object]]:
    if isinstance(one, Import):
        yield from _imported(reached, one, str(names.get("__package__") or ""))
        return
    if one.name not in names or (one.name.startswith("__") and one.name.endswith("__")):
        return
    value, path = names[one.name], one.name
    for attribute in one.attributes:
        if type(value) is not types.ModuleType:
            break
        if not reached.own.has_file(getattr(value, "__file__", None)):
            break
        path = f"{path}.{attribute}"
        if attribute not in vars(value):
            value = reached.own.module_file(f"{value.__name__}.{attribute}")
            break
        value = vars(value)[attribute]
    yield path, value


def _imported(reached: ReachedCode, one: Import, package: str) -> Iterator[tuple[str, object]]:
    name = one.name
    if one.level:
        parents = package.split(".")
        base = ".".join(parents[: len(parents) - one.level + 1])
        name = f"{base}.{name}" if name else base
    parts = name.split(".")
    dotted = [".".join(parts[: count + 1]) for count in range(len(parts))]
    found = [reached.own.module_file(each) for each in dotted]
    if not any(found):
        for each in reached.package_of(parts[0]):
            yield name, each
        return
    found += [reached.own.module_file(f"{name}.{member}") for member in one.members]
    for file in found:
        if file is not None:
            yield file.name, file


# -- values


def _plain(node: object) -> bytes | None:
    """Give the bytes of plain data, at C speed; None where it holds anything else."""
    if type(node) not in _ATOMS and type(node) not in _CONTAINERS:
        return None
    try:
        return marshal.dumps(cast("Any", node), MARSHAL_VERSION)
    except ValueError:
        return None


def _dict(reached: ReachedCode, items: Mapping[object, object]) -> Expanded:
    if type(items) not in (dict, types.MappingProxyType):
        return _instance(reached, items)
    return ("dict",), tuple(item for pair in items.items() for item in pair)


def _list(reached: ReachedCode, items: Sequence[object]) -> Expanded:
    if type(items) not in (list, tuple):
        return _instance(reached, items)
    return (type(items).__name__,), tuple(items)


def _set(reached: ReachedCode, items: set[object] | frozenset[object]) -> Expanded:
    if type(items) not in (set, frozenset):
        return _instance(reached, items)
    packages: set[str] = set()
    digests = sorted(digest(*reached.pieces(item, packages)) for item in items)
    return ("set", *digests), tuple(_Package(name) for name in sorted(packages))


def _instance(_: ReachedCode, node: object) -> Expanded:
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
        state = {n: value for n, value in state.items() if not _is_cache(kind, n)} or None
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


_NAMED = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
_VANISHING = (
    weakref.ReferenceType,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
)
"""What loses and gains things by itself is no value: caches, mostly."""

_EXPANDERS: tuple[tuple[type, Callable[[ReachedCode, Any], Expanded]], ...] = (
    (types.FunctionType, _function),
    (type, _class),
    (types.ModuleType, _module),
    (types.MethodType, lambda _, node: (("method",), (node.__func__, node.__self__))),
    (types.BuiltinFunctionType, _builtin),
    (staticmethod, lambda _, node: (("staticmethod",), (node.__func__,))),
    (classmethod, lambda _, node: (("classmethod",), (node.__func__,))),
    (property, lambda _, node: (("property",), (node.fget, node.fset, node.fdel))),
    (functools.cached_property, lambda _, node: (("cached property",), (node.func,))),
    (functools.partial, lambda _, node: (("partial",), (node.func, node.args, node.keywords))),
    (dict, _dict),
    (types.MappingProxyType, _dict),
    (list, _list),
    (tuple, _list),
    (set, _set),
    (frozenset, _set),
    (PurePath, lambda reached, node: (("path", reached.own.relative(str(node))), ())),
    (Declaration, lambda _, node: (("step",), (node.function, node.sql, node.source))),
    (PipelineDeclaration, lambda _, node: (("pipeline",), (node.name,))),
    (ModuleFile, _module_file),
    (_Package, lambda _, node: (("package", node.name), ())),
    *((kind, _named) for kind in _NAMED),
    *((kind, lambda _, node: (("opaque",), (type(node),))) for kind in _VANISHING),
)
