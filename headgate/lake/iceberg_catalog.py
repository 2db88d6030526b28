"""A ref as an Iceberg catalog: what any PyIceberg code reads, and on branches of one's own writes.

A branch is followed: every `load_table` sees its head, as with any other catalog. For several
tables of one moment, make the catalog of a commit. Tags and commits never change; protected
branches are moved by runs, which pass contracts.

A foreign commit is taken apart: its file difference, columns and properties become our own
operations, applied to the table as the branch has it then, so that history, merges and content ids
know of it. PyIceberg never writes our metadata.
"""
# ruff: noqa: ARG002 - the signatures are PyIceberg's

from collections.abc import Callable, Mapping, Sequence

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
from pyiceberg.table import (
    CommitTableResponse,
    CreateTableTransaction,
    StagedTable,
    Table,
)
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder
from pyiceberg.table.update import TableRequirement, TableUpdate, update_table_metadata
from pyiceberg.typedef import EMPTY_DICT, Identifier, Properties
from pyiceberg.view import View
from pyiceberg.view.metadata import ViewVersion

from headgate.errors import Conflict, Refused
from headgate.lake.column_types import plain
from headgate.lake.entries import Entry, table_key
from headgate.lake.foreign_commits import (
    foreign_operations,
    partition_texts,
    sort_columns,
    texts,
    unsupported,
)
from headgate.lake.iceberg_io import LakeIO
from headgate.lake.iceberg_schemas import columns_of
from headgate.lake.lake import Lake
from headgate.lake.namespaces import (
    namespace_entry,
    namespace_key,
    namespaces,
    properties_of,
    tables,
)
from headgate.lake.operations import (
    AddColumn,
    Column,
    Create,
    Drop,
    Operation,
    Put,
    Rename,
    SetProperties,
)
from headgate.lake.records import Commit, Read, Record, StepRecord, Write
from headgate.lake.schema_changes import allocated
from headgate.lake.table_metadata import metadata_here
from headgate.lake.trees import Tree
from headgate.names import RESERVED_REF_PREFIXES, table_name

_ATTEMPTS = 5

Changed = tuple[Mapping[str, Entry | None], list[Write]]
"""What a change makes of keys, and how it is recorded."""


class _NewTable(StagedTable):
    """A table that its transaction will create: ``entry`` is what it is before any row."""

    entry: Entry
    operations: tuple[Operation, ...]


class IcebergCatalog(MetastoreCatalog):
    """The tables of one ref, as PyIceberg's own catalogs give them.

    Table names' dots are namespaces; a namespace is there once it was created, and as long as a
    table is in it. Tables without one are allowed.

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
        name, commit = _name(identifier), self._commit()
        table = self._table(name, self._entry(commit, name))
        self._lake.leases.hold(table, commit, why=f"reads {name} at {self._ref}")
        return table

    def table_exists(self, identifier: str | Identifier) -> bool:
        """Tell whether the ref has the table."""
        return self._find(self._commit(), _name(identifier)) is not None

    def list_tables(self, namespace: str | Identifier) -> list[Identifier]:
        """List the tables directly in a namespace; in ``()`` those without one.

        Raises:
            NoSuchNamespaceError: there is none.
        """
        wanted = self._there(namespace)
        return [table for table in tables(self._tree()) if table[:-1] == wanted]

    def list_namespaces(self, namespace: str | Identifier = ()) -> list[Identifier]:
        """List the namespaces directly in a namespace.

        Raises:
            NoSuchNamespaceError: there is none.
        """
        wanted = self._there(namespace)
        return sorted(found for found in namespaces(self._tree()) if found[:-1] == wanted)

    def namespace_exists(self, namespace: str | Identifier) -> bool:
        """Tell whether the namespace was created, or a table is in it."""
        return _namespace(namespace) in namespaces(self._tree())

    def load_namespace_properties(self, namespace: str | Identifier) -> Properties:
        """Give a namespace's properties.

        Raises:
            NoSuchNamespaceError: there is none.
        """
        return properties_of(self._tree().get(namespace_key(self._there(namespace))))

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

        ``location`` may only be the lake's own. A sort order is of columns, ascending.

        Raises:
            TableAlreadyExistsError: the name is taken.
            Refused: ``protected-branch``, ``run-branch``, ``ref-fixed``,
                ``catalog-change-unsupported``.
        """
        self._refuse_writing()
        name = table_name(_name(identifier))
        begun = self._new_table(name, schema, location, partition_spec, sort_order, properties)
        self._commit_change(lambda head: self._created(head, name, begun), f"create {name}")
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
        """Begin a table that is created, with its rows, when the transaction is committed.

        Raises:
            TableAlreadyExistsError: the name is taken.
            Refused: as `create_table`.
        """
        self._refuse_writing()
        name = table_name(_name(identifier))
        begun = self._new_table(name, schema, location, partition_spec, sort_order, properties)
        return CreateTableTransaction(begun)

    def commit_table(
        self,
        table: Table,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> CommitTableResponse:
        """Commit what PyIceberg did to a table, as the lake's own operations.

        Raises:
            CommitFailedException: the table changed since it was loaded; load it again.
            NoSuchTableError: it is gone. TableAlreadyExistsError: a new table's name was taken.
            Refused: ``protected-branch``, ``run-branch``, ``ref-fixed``,
                ``catalog-change-unsupported``,
                ``delete-files-unsupported``.
        """
        self._refuse_writing()
        name = ".".join(table.name())

        def change(commit: Commit) -> Changed:
            if isinstance(table, _NewTable):
                return self._created(commit, name, table, updates)
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

        def change(commit: Commit) -> Changed:
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

        def change(commit: Commit) -> Changed:
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
        """Create a namespace on the branch.

        Raises:
            NamespaceAlreadyExistsError: it is there, or a table is in it.
            Refused: ``protected-branch``, ``run-branch``, ``ref-fixed``.
        """
        self._refuse_writing()
        wanted = _namespace(namespace)
        table_name(".".join(wanted))

        def change(commit: Commit) -> Changed:
            if wanted in namespaces(self._lake.tree(commit)):
                raise NamespaceAlreadyExistsError(f"Namespace {'.'.join(wanted)} already exists")
            return self._named(commit, wanted, namespace_entry(properties))

        self._commit_change(change, f"create namespace {'.'.join(wanted)}")

    def drop_namespace(self, namespace: str | Identifier) -> None:
        """Remove an empty namespace from the branch.

        Raises:
            NamespaceNotEmptyError: tables or namespaces are in it.
            NoSuchNamespaceError: there is none.
            Refused: ``protected-branch``, ``run-branch``, ``ref-fixed``.
        """
        self._refuse_writing()
        wanted = self._there(namespace)

        def change(commit: Commit) -> Changed:
            tree = self._lake.tree(commit)
            inside = [each for each in (*tables(tree), *namespaces(tree)) if each[:-1] == wanted]
            if inside:
                raise NamespaceNotEmptyError(
                    f"Namespace {'.'.join(wanted)} is not empty: {'.'.join(inside[0])} is in it"
                )
            return self._named(commit, wanted, None)

        self._commit_change(change, f"drop namespace {'.'.join(wanted)}")

    def update_namespace_properties(
        self,
        namespace: str | Identifier,
        removals: set[str] | None = None,
        updates: Properties = EMPTY_DICT,
    ) -> PropertiesUpdateSummary:
        """Set and remove properties of a namespace.

        Raises:
            NoSuchNamespaceError: there is none. ValueError: a property is set and removed.
            Refused: ``protected-branch``, ``run-branch``, ``ref-fixed``.
        """
        self._refuse_writing()
        wanted = self._there(namespace)
        done: list[PropertiesUpdateSummary] = []

        def change(commit: Commit) -> Changed:
            before = properties_of(self._lake.tree(commit).get(namespace_key(wanted)))
            summary, after = self._get_updated_props_and_update_summary(before, removals, updates)
            done.append(summary)
            return self._named(commit, wanted, namespace_entry(after))

        self._commit_change(change, f"set properties of namespace {'.'.join(wanted)}")
        return done[-1]

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

    def _tree(self) -> Tree:
        return self._lake.tree(self._commit())

    def _there(self, namespace: str | Identifier) -> Identifier:
        wanted = _namespace(namespace)
        if wanted and wanted not in namespaces(self._tree()):
            raise NoSuchNamespaceError(f"Namespace does not exist: {'.'.join(wanted)}")
        return wanted

    def _named(self, commit: Commit, namespace: Identifier, entry: Entry | None) -> Changed:
        """Give a namespace's key this entry."""
        key = namespace_key(namespace)
        before = self._lake.tree(commit).get(key)
        content = entry.content if entry is not None else None
        write = Write(
            key=key,
            operations=(Put(content=content),),
            before=before.content if before is not None else None,
            content=content,
        )
        return {key: entry}, [write]

    def _new_table(
        self,
        name: str,
        schema: Schema | pa.Schema,
        location: str | None,
        partition_spec: PartitionSpec,
        sort_order: SortOrder,
        properties: Properties,
    ) -> _NewTable:
        """Give a table that is in no commit yet: its uuid, column ids and directory are its own."""
        if self._find(self._commit(), name) is not None:
            raise TableAlreadyExistsError(f"Table {name} already exists")
        given = self._convert_schema_if_needed(schema)
        create = Create(
            uuid=self._lake.ids.unique(), partition=partition_texts(partition_spec, given, name)
        )
        if location is not None and location.rstrip("/") != self._lake.storage.location:
            raise unsupported(name, f"the location {location}")
        columns = allocated(
            tuple(Column(name=c.name, type=plain(c.type), id=0) for c in columns_of(given)),
            (),
            {},
            lambda names: self._lake.metastore.allocate(create.uuid, names),
        )
        operations: list[Operation] = [create, *(AddColumn(column=each) for each in columns)]
        sort_by = sort_columns(sort_order, given, name)
        if properties or sort_by:
            operations.append(SetProperties(updates=texts(properties), sort_by=sort_by or None))
        entry = self._lake.tables.apply(None, operations, table=name)
        plain_table = self._table(name, entry)
        begun = _NewTable(
            identifier=plain_table.name(),
            metadata=plain_table.metadata,
            metadata_location=plain_table.metadata_location,
            io=self._io,
            catalog=self,
        )
        begun.entry, begun.operations = entry, tuple(operations)
        return begun

    def _created(
        self, commit: Commit, name: str, begun: _NewTable, updates: tuple[TableUpdate, ...] = ()
    ) -> Changed:
        """Give a new table its place, with what its transaction did to it."""
        if self._find(commit, name) is not None:
            raise TableAlreadyExistsError(f"Table {name} already exists")
        entry, operations = begun.entry, begun.operations
        if updates:
            wanted = update_table_metadata(
                self._empty_table_metadata(), updates, enforce_validation=True
            )
            done = foreign_operations(self._lake, name, entry, begun.metadata, wanted)
            entry = self._lake.tables.apply(entry, done, table=name) if done else entry
            operations = (*operations, *done)
        return {table_key(name): entry}, [_write(name, operations, None, entry)]

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

    def _commit_change(self, change: Callable[[Commit], Changed], message: str) -> None:
        for attempt in range(_ATTEMPTS):
            head = self._head()
            changes, writes = change(head)
            if not changes:
                return
            record = Record(
                kind="catalog",
                at=self._lake.clock.now(),
                message=f"Iceberg client: {message}",
                base=head.id,
                base_number=head.number,
                steps=(StepRecord(step="catalog", reads=self._reads(), writes=tuple(writes)),),
            )
            try:
                made = self._lake.commit_to(self._ref, self._lake.compose(head, changes, record))
            except Conflict as error:
                if attempt + 1 == _ATTEMPTS:
                    raise CommitFailedException(str(error)) from error
            else:
                self._committed(made)
                return

    # -- what a session does otherwise

    def _head(self) -> Commit:
        """Give the commit that a change is made on, where what was read is as it was."""
        return self._commit()

    def _reads(self) -> tuple[Read, ...]:
        """Give what a change may depend on: nobody knows, therefore all."""
        return (Read(key=table_key("")),)

    def _committed(self, commit: Commit) -> None:
        """Note a commit of this catalog's."""


def _name(identifier: str | Identifier) -> str:
    return ".".join(MetastoreCatalog.identifier_to_tuple(identifier))


def _namespace(namespace: str | Identifier) -> Identifier:
    if not namespace:
        return ()
    return MetastoreCatalog.identifier_to_tuple(namespace)


def _write(
    name: str, operations: Sequence[Operation], before: Entry | None, after: Entry | None
) -> Write:
    return Write(
        key=table_key(name),
        operations=tuple(operations),
        before=before.content if before is not None else None,
        content=after.content if after is not None else None,
    )
