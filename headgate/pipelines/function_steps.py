"""``@step``: declares a function as a step."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, overload

from headgate.pipelines import places
from headgate.pipelines.declared_steps import F, Mode, Settings, declare_function, names

if TYPE_CHECKING:
    from headgate.contracts import AnyContract


@overload
def step(function: F, /) -> F: ...
@overload
def step(
    *,
    name: str | None = None,
    table: str | None = None,
    contract: "AnyContract | None" = None,
    mode: Mode = "replace",
    key: str | Sequence[str] = (),
    after: Sequence[object] = (),
    partition_by: str | Sequence[str] = (),
    sort_by: str | Sequence[str] = (),
    retries: int = 0,
    timeout: timedelta | None = None,
    isolate: bool = False,
) -> Callable[[F], F]: ...
def step(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    table: str | None = None,
    contract: "AnyContract | None" = None,
    mode: Mode = "replace",
    key: str | Sequence[str] = (),
    after: Sequence[object] = (),
    partition_by: str | Sequence[str] = (),
    sort_by: str | Sequence[str] = (),
    retries: int = 0,
    timeout: timedelta | None = None,
    isolate: bool = False,
) -> F | Callable[[F], F]:
    """Declare a function as a step; the function stays what it is.

    Parameter names are tables, annotations are the forms they come in; ``Annotated[form,
    hg.table("raw.flights")]`` names a table that is no identifier. Plain types (``minimum: int =
    10``) and ``hg.Params`` classes are parameters; ``hg.Now`` and ``hg.Seed`` are the run's. The
    step is named by the function's module attribute, or by ``name``; its table likewise, or by
    ``table``.

    Args:
        function: the function, where the decorator has no settings.
        name: the step's name, where it is not the module attribute's.
        table: the table it writes, where it is not the step's name; dots are namespaces.
        contract: what the output must satisfy.
        mode: ``replace`` the table, ``append`` to it, ``upsert`` by ``key``, or ``delete`` the rows
            whose ``key`` is among the output.
        key: the columns rows are known by.
        after: steps that must be done first though none of their rows are read.
        partition_by: SQL expressions over the output's columns.
        sort_by: columns the written files are sorted by.
        retries: how often to try again after a failure.
        timeout: refused until steps can be killed.
        isolate: refused until steps can be killed.

    Raises:
        Invalid: ``step-not-a-function``, ``step-declared-twice``, ``unknown-step-mode``,
            ``step-key-missing``, ``bad-step-name``, ``bad-table-name``.
        Refused: ``timeout-unsupported``.
    """
    settings = Settings(
        name=name,
        table=table,
        contract=contract,
        mode=mode,
        key=names(key),
        after=tuple(after),
        partition_by=names(partition_by),
        sort_by=names(sort_by),
        retries=retries,
        timeout=timeout,
        isolate=isolate,
    )
    frame = places.caller()

    def declare(given: F) -> F:
        return declare_function(given, "@step", settings, frame)

    return declare if function is None else declare(function)
