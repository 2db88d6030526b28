"""``hg.dlt``: a resource of dlt as a step. dlt itself is not imported here."""

from collections.abc import Mapping
from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Any, Unpack

from headgate.errors import Invalid, Refused
from headgate.pipelines import places
from headgate.pipelines.declared_steps import Declaration, SourceDeclaration
from headgate.pipelines.source_steps import StepOptions, step_settings
from headgate.secrets import Secret, named_secrets

if TYPE_CHECKING:
    from headgate.contracts import AnyContract

KIND = "dlt"
_MODES = {"append": "append", "replace": "replace", "merge": "upsert"}


def dlt(
    resource: object,
    *,
    select: str | None = None,
    arguments: "Mapping[str, object | Secret] | None" = None,
    **options: Unpack[StepOptions],
) -> Declaration:
    """Declare a resource of dlt as a step without inputs: ``issues = hg.dlt(github_issues)``.

    Its records come in as those of any source; its state is committed with them. What it says of
    itself holds unless it is said here: ``write_disposition`` is the mode (``merge`` is ``upsert``
    with its ``primary_key``), columns with a ``data_type`` are a contract.

    Args:
        resource: what ``@dlt.resource`` or ``@dlt.source`` made; or a function that makes one when
            it is read, of which ``mode`` and ``key`` must be said.
        select: which of a source's resources.
        arguments: what the resource asks for; may hold secrets: ``{"token": hg.secret("github")}``.
        options: those of the step, as in ``hg.files``.

    Raises:
        Invalid: ``not-a-dlt-resource``. Refused: ``dlt-hint-unsupported``. And as ``hg.step``.
    """
    chosen = _chosen(resource, select)
    said = _hints(chosen) if chosen is not None else {}
    settings = step_settings({"mode": "append", **said, **options})
    declared: dict[str, object] = {"resource": select} if select is not None else {}
    if arguments:
        declared["arguments"] = named_secrets(dict(arguments))

    def give() -> object:
        return resource if chosen is None else chosen

    give.__name__ = str(getattr(chosen, "name", None) or getattr(resource, "__name__", "resource"))
    frame = places.caller()
    declaration = Declaration(
        place=places.of_frame(frame),
        module=str(frame.f_globals.get("__name__", "")),
        settings=settings,
        function=give,
        source=SourceDeclaration(kind=KIND, options=declared, contract=settings.contract),
    )
    places.note(frame, declaration)
    return declaration


def _chosen(resource: Any, select: str | None) -> Any:  # noqa: ANN401 - dlt's
    """Give the resource that is meant; None where it is made when it is read.

    Raises:
        Invalid: ``not-a-dlt-resource``.
    """
    if hasattr(resource, "write_disposition"):
        return resource
    if hasattr(resource, "resources"):
        names = list(resource.resources)
        name = select or (names[0] if len(names) == 1 else None)
        if name in names:
            return resource.resources[name]
        raise Invalid(
            "not-a-dlt-resource",
            f"The dlt source {resource.name} has no resource {select!r}; it has {', '.join(names)}."
            if select
            else f"The dlt source {resource.name} has several resources: {', '.join(names)}.",
            hint='Say which:  select="name"',
        )
    if isinstance(resource, FunctionType) or (callable(resource) and hasattr(resource, "__name__")):
        return None
    raise Invalid(
        "not-a-dlt-resource",
        f"{type(resource).__qualname__} is no resource of dlt.",
        hint="Give hg.dlt what @dlt.resource or @dlt.source made.",
    )


def _hints(resource: Any) -> dict[str, Any]:  # noqa: ANN401
    """Give the step's settings that a resource says itself.

    Raises:
        Refused: ``dlt-hint-unsupported``.
    """
    name = str(resource.name)
    if resource.has_dynamic_table_name or resource.has_other_dynamic_hints:
        raise _unsupported(name, "chooses tables or hints for each row", "one resource for each")
    schema = resource.compute_table_schema()
    columns: Mapping[str, Mapping[str, Any]] = schema.get("columns", {})
    disposition = resource.write_disposition
    if isinstance(disposition, Mapping):
        strategy = disposition.get("strategy", "delete-insert")
        if strategy not in {"delete-insert", "upsert"}:
            raise _unsupported(name, f"has the strategy {strategy}", "an upsert by key")
        disposition = disposition.get("disposition", "append")
    for column, hints in columns.items():
        if hints.get("hard_delete"):
            raise _unsupported(
                name, f"deletes by its column {column}", "a step that leaves them out"
            )
    found: dict[str, Any] = {"mode": _MODES.get(str(disposition), "append")}
    key = [c for c, hints in columns.items() if hints.get("primary_key")] or [
        c for c, hints in columns.items() if hints.get("merge_key")
    ]
    if key and found["mode"] == "upsert":
        found["key"] = tuple(key)
    contract = _contract(name, columns)
    if contract is not None:
        found["contract"] = contract
    return found


def _contract(name: str, columns: Mapping[str, Mapping[str, Any]]) -> "AnyContract | None":
    """Give the types that columns are said to have as a contract; None where none is said."""
    contracts = import_module("headgate.contracts")  # for those who say types
    types = {
        "text": str,
        "bigint": int,
        "double": float,
        "bool": bool,
        "date": contracts.Date,
        "timestamp": contracts.UtcTimestamp,
    }
    found: dict[str, Any] = {}
    for column, hints in columns.items():
        said = hints.get("data_type")
        if said == "decimal":
            kind = contracts.Decimal(hints.get("precision") or 38, hints.get("scale") or 9)
        elif said == "timestamp" and hints.get("timezone") is False:
            kind = contracts.LocalTimestamp
        elif said in types:
            kind = types[said]
        else:
            continue
        found[column] = kind if hints.get("nullable") is False else kind | None
    if not found:
        return None
    made: AnyContract = type(name, (contracts.Contract,), {"__annotations__": found})
    return made


def _unsupported(name: str, what: str, instead: str) -> Refused:
    return Refused(
        "dlt-hint-unsupported",
        f"The dlt resource {name} {what}, which is not done here.",
        hint=f"Use {instead}.",
        resource=name,
    )
