"""A ref as an Iceberg catalog: what any PyIceberg code reads, and on branches of one's own writes.

A branch is followed: every `load_table` sees its head, as with any other catalog. For several
tables of one moment, make the catalog of a commit. Tags and commits never change; protected
branches are moved by runs, which pass contracts.

A foreign commit is taken apart: its file difference becomes our own operations, applied to the
table as the branch has it then, so that history, merges and content ids know of it. PyIceberg never
writes our metadata.
"""
# ruff: noqa: ARG002 - the signatures are PyIceberg's

from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa
from pyiceberg.catalog import MetastoreCatalog, PropertiesUpdateSummary
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import CommitTableResponse, CreateTableTransaction, Table
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder
from pyiceberg.table.update import TableRequirement, TableUpdate, update_table_metadata
from pyiceberg.typedef import EMPTY_DICT, Identifier, Properties
from pyiceberg.view import View
from pyiceberg.view.metadata import ViewVersion

from headgate.errors import Conflict, Refused
from headgate.lake.column_types import plain
from headgate.lake.entries import Entry, table_key
from headgate.lake.foreign_commits import foreign_operations, partition_texts, unsupported
from headgate.lake.iceberg_io import LakeIO
from headgate.lake.iceberg_schemas import columns_of
from headgate.lake.lake import Lake
from headgate.lake.operations import (
    AddColumn,
    Column,
    Create,
    Drop,
    Operation,
    Rename,
)
from headgate.lake.records import Commit, Read, Record, StepRecord, Write
from headgate.lake.schema_changes import allocated
from headgate.lake.table_metadata import metadata_here
from headgate.names import RESERVED_REF_PREFIXES, table_name

_ATTEMPTS = 5


class IcebergCatalog(MetastoreCatalog):
    """The tables of one ref, as PyIceberg's own catalogs give them.

    Table names' dots are namespaces; a namespace is there as long as a table is in it, and tables
    without one are allowed.

    Args:
        lake: the lake.
        ref: a branch, tag, commit id or any ref expression.
        name: what the catalog calls itself.
    """

    def __init__(self, lake: Lake, ref: str, *, name: str = "headgate") -> None:
        super().__init__(name, warehouse=lake.storage.location)
        self._lake = lake
        self._ref = ref
        self._branch = lake.metastore.branch(ref) is not None
        self._fixed = None if self._branch else lake.resolve(ref)
        self._storage = lake.storage
        self._io = LakeIO(self._storage)

    # -- reading

    def load_table(self, identifier: str | Identifier) -> Table:
        """Load a table as the ref has it now.

        Raises:
            NoSuchTableError: there is none.
        """
        name = _name(identifier)
        return self._table(name, self._entry(self._commit(), name))

    def table_exists(self, identifier: str | Identifier) -> bool:
        """Tell whether the ref has the table."""
        return self._find(self._commit(), _name(identifier)) is not None

    def list_tables(self, namespace: str | Identifier) -> list[Identifier]:
        """List the tables directly in a namespace; in ``()`` those without one.

        Raises:
            NoSuchNamespaceError: there is none.
        """
        wanted = _namespace(namespace)
        tables = self._identifiers()
        if wanted and not any(table[: len(wanted)] == wanted for table in _parents(tables)):
            raise _no_namespace(wanted)
        return [table for table in tables if table[:-1] == wanted]

    def list_namespaces(self, namespace: str | Identifier = ()) -> list[Identifier]:
        """List the namespaces directly in a namespace.

        Raises:
            NoSuchNamespaceError: there is none.
        """
        wanted = _namespace(namespace)
        parents = _parents(self._identifiers())
        if wanted and not any(parent[: len(wanted)] == wanted for parent in parents):
            raise _no_namespace(wanted)
        depth = len(wanted) + 1
        return sorted({p[:depth] for p in parents if len(p) >= depth and p[: depth - 1] == wanted})

    def namespace_exists(self, namespace: str | Identifier) -> bool:
        """Tell whether any table is in the namespace."""
        wanted = _namespace(namespace)
        return any(p[: len(wanted)] == wanted for p in _parents(self._identifiers()))

    def load_namespace_properties(self, namespace: str | Identifier) -> Properties:
        """Give a namespace's properties: none.

        Raises:
            NoSuchNamespaceError: there is none.
        """
        if not self.namespace_exists(namespace):
            raise _no_namespace(_namespace(namespace))
        return {}

    def list_views(self, namespace: str | Identifier) -> list[Identifier]:
        """List views: a lake has none."""
        return []

    def view_exists(self, identifier: str | Identifier) -> bool:
        """Tell whether there is a view: a lake has none."""
        return False

    # -- writing

    def create_table(
        self,
        identifier: str | Identifier,
        schema: Schema | pa.Schema,
        location: str | None = None,
        partition_spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
        sort_order: SortOrder = UNSORTED_SORT_ORDER,
        properties: Properties = EMPTY_DICT,
    ) -> Table:
        """Create an empty table on the branch; its columns are optional and get the lake's ids.

        Raises:
            TableAlreadyExistsError: the name is taken.
            Refused: ``protected-branch``, ``run-branch``, ``ref-fixed``,
                ``catalog-change-unsupported``.
        """
        self._refuse_writing()
        name = table_name(_name(identifier))
        if location is not None or properties or sort_order != UNSORTED_SORT_ORDER:
            raise unsupported(name, "a location, properties or a sort order")
        given = self._convert_schema_if_needed(schema)
        partition = partition_texts(partition_spec, given, name)

        def change(commit: Commit) -> tuple[Mapping[str, Entry | None], list[Write]]:
            if self._find(commit, name) is not None:
                raise TableAlreadyExistsError(f"Table {name} already exists")
            columns = tuple(
                Column(name=c.name, type=plain(c.type), id=0) for c in columns_of(given)
            )
            create = Create(uuid=self._lake.ids.unique(), partition=partition)
            columns = allocated(
                columns,
                (),
                {},
                lambda names: self._lake.metastore.allocate(create.uuid, names),
            )
            operations: tuple[Operation, ...] = (
                create,
                *(AddColumn(column=column) for column in columns),
            )
            entry = self._lake.tables.apply(None, operations, table=name)
            return {table_key(name): entry}, [_write(name, operations, None, entry)]

        self._commit_change(change, f"create {name}")
        return self.load_table(identifier)

    def create_table_transaction(
        self,
        identifier: str | Identifier,
        schema: Schema | pa.Schema,
        location: str | None = None,
        partition_spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
        sort_order: SortOrder = UNSORTED_SORT_ORDER,
        properties: Properties = EMPTY_DICT,
    ) -> CreateTableTransaction:
        """Refuse: create the table, then write to it."""
        raise unsupported(_name(identifier), "a table created within a transaction")

    def commit_table(
        self,
        table: Table,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> CommitTableResponse:
        """Commit what PyIceberg did to a table, as the lake's own operations.

        Raises:
            CommitFailedException: the table changed since it was loaded; load it again.
            NoSuchTableError: it is gone.
            Refused: ``protected-branch``, ``run-branch``, ``ref-fixed``,
                ``catalog-change-unsupported``,
                ``delete-files-unsupported``.
        """
        self._refuse_writing()
        name = ".".join(table.name())

        def change(commit: Commit) -> tuple[Mapping[str, Entry | None], list[Write]]:
            entry = self._entry(commit, name)
            current = self._table(name, entry)
            for requirement in requirements:
                requirement.validate(current.metadata)
            wanted = update_table_metadata(
                current.metadata, updates, metadata_location=current.metadata_location
            )
            operations = foreign_operations(self._lake, name, entry, current.metadata, wanted)
            if not operations:
                return {}, []
            changed = self._lake.tables.apply(entry, operations, table=name)
            return {table_key(name): changed}, [_write(name, operations, entry, changed)]

        self._commit_change(change, f"write {name}")
        now = self.load_table(name)
        return CommitTableResponse(
            metadata=now.metadata, metadata_location=now.metadata_location or ""
        )

    def drop_table(self, identifier: str | Identifier) -> None:
        """Remove a table from the branch; older commits keep it.

        Raises:
            NoSuchTableError: there is none.
            Refused: ``protected-branch``, ``run-branch``, ``ref-fixed``.
        """
        self._refuse_writing()
        name = _name(identifier)

        def change(commit: Commit) -> tuple[Mapping[str, Entry | None], list[Write]]:
            entry = self._entry(commit, name)
            return {table_key(name): None}, [_write(name, (Drop(),), entry, None)]

        self._commit_change(change, f"drop {name}")

    def purge_table(self, identifier: str | Identifier) -> None:
        """Remove a table from the branch. Its files stay, because older commits need them."""
        self.drop_table(identifier)

    def rename_table(
        self, from_identifier: str | Identifier, to_identifier: str | Identifier
    ) -> Table:
        """Give a table another name on the branch.

        Raises:
            NoSuchTableError, TableAlreadyExistsError: as they say.
            Refused: ``protected-branch``, ``run-branch``, ``ref-fixed``.
        """
        self._refuse_writing()
        old, new = _name(from_identifier), table_name(_name(to_identifier))

        def change(commit: Commit) -> tuple[Mapping[str, Entry | None], list[Write]]:
            entry = self._entry(commit, old)
            if self._find(commit, new) is not None:
                raise TableAlreadyExistsError(f"Table {new} already exists")
            changes: dict[str, Entry | None] = {table_key(old): None, table_key(new): entry}
            return changes, [_write(old, (Rename(to=new),), entry, None)]

        self._commit_change(change, f"rename {old} to {new}")
        return self.load_table(to_identifier)

    def register_table(
        self,
        identifier: str | Identifier,
        metadata_location: str,
        overwrite: bool = False,  # noqa: FBT001, FBT002 - PyIceberg's signature
    ) -> Table:
        """Refuse: a table's files must be in the lake, written under its ids."""
        raise unsupported(_name(identifier), "the registration of a table written elsewhere")

    def create_namespace(
        self, namespace: str | Identifier, properties: Properties = EMPTY_DICT
    ) -> None:
        """Accept a namespace, which is there from its first table on.

        Raises:
            NamespaceAlreadyExistsError: a table is in it already.
            Refused: ``protected-branch``, ``run-branch``, ``ref-fixed``,
                ``catalog-change-unsupported``.
        """
        self._refuse_writing()
        if properties:
            raise unsupported(".".join(_namespace(namespace)), "properties of a namespace")
        if self.namespace_exists(namespace):
            raise NamespaceAlreadyExistsError(
                f"Namespace {'.'.join(_namespace(namespace))} already exists"
            )

    def drop_namespace(self, namespace: str | Identifier) -> None:
        """Refuse as long as there are tables in it, else there is none.

        Raises:
            NamespaceNotEmptyError, NoSuchNamespaceError: as they say.
        """
        self._refuse_writing()
        wanted = _namespace(namespace)
        if self.namespace_exists(namespace):
            raise NamespaceNotEmptyError(f"Namespace {'.'.join(wanted)} is not empty")
        raise _no_namespace(wanted)

    def update_namespace_properties(
        self,
        namespace: str | Identifier,
        removals: set[str] | None = None,
        updates: Properties = EMPTY_DICT,
    ) -> PropertiesUpdateSummary:
        """Refuse: namespaces have no properties."""
        raise unsupported(".".join(_namespace(namespace)), "properties of a namespace")

    def register_view(self, identifier: str | Identifier, metadata_location: str) -> View:
        """Refuse: a lake has no views."""
        raise unsupported(_name(identifier), "a view")

    def create_view(
        self,
        identifier: str | Identifier,
        schema: Schema | pa.Schema,
        view_version: ViewVersion,
        location: str | None = None,
        properties: Properties = EMPTY_DICT,
    ) -> View:
        """Refuse: a lake has no views."""
        raise unsupported(_name(identifier), "a view")

    def drop_view(self, identifier: str | Identifier) -> None:
        """Refuse: a lake has no views."""
        raise unsupported(_name(identifier), "a view")

    def load_view(self, identifier: str | Identifier) -> View:
        """Refuse: a lake has no views."""
        raise unsupported(_name(identifier), "a view")

    # -- parts

    def _commit(self) -> Commit:
        return self._fixed or self._lake.commit(self._lake.branch(self._ref).head)

    def _find(self, commit: Commit, name: str) -> Entry | None:
        entry = self._lake.tree(commit).get(table_key(name))
        return entry if entry is not None and entry.table is not None else None

    def _entry(self, commit: Commit, name: str) -> Entry:
        entry = self._find(commit, name)
        if entry is None:
            raise NoSuchTableError(f"Table does not exist: {name}")
        return entry

    def _identifiers(self) -> list[Identifier]:
        prefix = table_key("")
        tree = self._lake.tree(self._commit())
        return [tuple(key.removeprefix(prefix).split(".")) for key, _ in tree.items(prefix)]

    def _table(self, name: str, entry: Entry) -> Table:
        body = entry.table
        if body is None:
            raise NoSuchTableError(f"Table does not exist: {name}")
        return Table(
            identifier=tuple(name.split(".")),
            metadata=metadata_here(self._storage, body.metadata, body.uuid),
            metadata_location=self._storage.absolute(body.metadata),
            io=self._io,
            catalog=self,
        )

    def _refuse_writing(self) -> None:
        if not self._branch:
            raise Refused(
                "ref-fixed",
                f"{self._ref} is not a branch: nothing can be written there.",
                hint=f"Create a branch from it: headgate branch create NAME {self._ref}",
                ref=self._ref,
            )
        if self._ref.startswith(RESERVED_REF_PREFIXES):
            raise Refused(
                "run-branch",
                f"Branch {self._ref} belongs to its run: an Iceberg client cannot write to it.",
                hint="Write to a branch of your own: headgate branch create NAME",
                branch=self._ref,
            )
        if self._lake.branch(self._ref).protected:
            raise Refused(
                "protected-branch",
                f"Branch {self._ref} is protected: an Iceberg client cannot write to it.",
                readers="Nothing was written.",
                hint="Write to a branch of your own (headgate branch create NAME) and merge it, or"
                f' write in a transaction: project.transaction("{self._ref}").',
                branch=self._ref,
            )

    def _commit_change(
        self,
        change: Callable[[Commit], tuple[Mapping[str, Entry | None], list[Write]]],
        message: str,
    ) -> None:
        for attempt in range(_ATTEMPTS):
            head = self._commit()
            changes, writes = change(head)
            if not changes:
                return
            record = Record(
                kind="catalog",
                at=self._lake.clock.now(),
                message=f"Iceberg client: {message}",
                base=head.id,
                base_number=head.number,
                steps=(
                    StepRecord(step="catalog", reads=(Read(key="table/"),), writes=tuple(writes)),
                ),
            )
            try:
                self._lake.commit_to(self._ref, self._lake.compose(head, changes, record))
            except Conflict as error:
                if attempt + 1 == _ATTEMPTS:
                    raise CommitFailedException(str(error)) from error
            else:
                return


def _name(identifier: str | Identifier) -> str:
    return ".".join(MetastoreCatalog.identifier_to_tuple(identifier))


def _namespace(namespace: str | Identifier) -> Identifier:
    if not namespace:
        return ()
    return MetastoreCatalog.identifier_to_tuple(namespace)


def _parents(tables: Iterable[Identifier]) -> set[Identifier]:
    return {table[:-1] for table in tables if len(table) > 1}


def _no_namespace(namespace: Identifier) -> NoSuchNamespaceError:
    return NoSuchNamespaceError(f"Namespace does not exist: {'.'.join(namespace)}")


def _write(
    name: str, operations: Sequence[Operation], before: Entry | None, after: Entry | None
) -> Write:
    return Write(
        key=table_key(name),
        operations=tuple(operations),
        before=before.content if before is not None else None,
        content=after.content if after is not None else None,
    )
