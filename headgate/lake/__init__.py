"""The lake: a commit history of tables, and the one place where state changes.

Names load when they are first touched: looking at the history needs neither pyarrow nor PyIceberg.
"""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.lake.backups import BackedUp as BackedUp
    from headgate.lake.backups import BackupManifest as BackupManifest
    from headgate.lake.backups import back_up as back_up
    from headgate.lake.backups import backups_at as backups_at
    from headgate.lake.backups import verify_backup as verify_backup
    from headgate.lake.bounds import bounds_meet as bounds_meet
    from headgate.lake.bounds import holding as holding
    from headgate.lake.bounds import prune as prune
    from headgate.lake.collected import explaining as explaining
    from headgate.lake.collected import refuse_collected as refuse_collected
    from headgate.lake.collected import refuse_emptied as refuse_emptied
    from headgate.lake.collecting import Collection as Collection
    from headgate.lake.column_types import plain as plain
    from headgate.lake.compacting import Group as Group
    from headgate.lake.compacting import batches as batches
    from headgate.lake.compacting import files_until_due as files_until_due
    from headgate.lake.compacting import plan_groups as plan_groups
    from headgate.lake.contents import content_after as content_after
    from headgate.lake.contents import content_chain as content_chain
    from headgate.lake.damaged_files import damage as damage
    from headgate.lake.diffing import Change as Change
    from headgate.lake.durability import FileSync as FileSync
    from headgate.lake.durability import SystemSync as SystemSync
    from headgate.lake.durability import sync as sync
    from headgate.lake.effects import operations_by_key as operations_by_key
    from headgate.lake.effects import operations_in_effect as operations_in_effect
    from headgate.lake.effects import operations_since as operations_since
    from headgate.lake.effects import reads_at_base as reads_at_base
    from headgate.lake.entries import Entry as Entry
    from headgate.lake.entries import TableBody as TableBody
    from headgate.lake.entries import blob_key as blob_key
    from headgate.lake.entries import contract_key as contract_key
    from headgate.lake.entries import cursor_key as cursor_key
    from headgate.lake.entries import step_key as step_key
    from headgate.lake.entries import table_key as table_key
    from headgate.lake.epochs import refuse_stranger as refuse_stranger
    from headgate.lake.epochs import why_not_owner as why_not_owner
    from headgate.lake.erased_files import RowGroup as RowGroup
    from headgate.lake.erased_files import StoredRows as StoredRows
    from headgate.lake.erasing import ErasedHistory as ErasedHistory
    from headgate.lake.erasing import TableVersions as TableVersions
    from headgate.lake.erasing import WholeHistory as WholeHistory
    from headgate.lake.erasing import whole_history as whole_history
    from headgate.lake.file_problems import Problem as Problem
    from headgate.lake.footprints import cover as cover
    from headgate.lake.footprints import meet as meet
    from headgate.lake.iceberg_catalog import IcebergCatalog as IcebergCatalog
    from headgate.lake.iceberg_session import IcebergSession as IcebergSession
    from headgate.lake.lake import Candidate as Candidate
    from headgate.lake.lake import Lake as Lake
    from headgate.lake.merging import Apply as Apply
    from headgate.lake.merging import Ask as Ask
    from headgate.lake.merging import Decision as Decision
    from headgate.lake.merging import Facts as Facts
    from headgate.lake.merging import KeepPointer as KeepPointer
    from headgate.lake.merging import MergeConflict as MergeConflict
    from headgate.lake.merging import NoOp as NoOp
    from headgate.lake.merging import Question as Question
    from headgate.lake.merging import Reexecute as Reexecute
    from headgate.lake.merging import merge_decision as merge_decision
    from headgate.lake.merging import questions as questions
    from headgate.lake.metastore import Backup as Backup
    from headgate.lake.metastore import Branch as Branch
    from headgate.lake.metastore import EventRow as EventRow
    from headgate.lake.metastore import Metastore as Metastore
    from headgate.lake.metastore import Outcome as Outcome
    from headgate.lake.metastore import Reservation as Reservation
    from headgate.lake.metastore import RunRow as RunRow
    from headgate.lake.metastore import RunState as RunState
    from headgate.lake.metastore import StepRow as StepRow
    from headgate.lake.metastore import StepState as StepState
    from headgate.lake.metastore import Tag as Tag
    from headgate.lake.migrations import Upgraded as Upgraded
    from headgate.lake.object_storage import ObjectStorage as ObjectStorage
    from headgate.lake.operations import AddColumn as AddColumn
    from headgate.lake.operations import Append as Append
    from headgate.lake.operations import ChangeSchema as ChangeSchema
    from headgate.lake.operations import Column as Column
    from headgate.lake.operations import Create as Create
    from headgate.lake.operations import Delete as Delete
    from headgate.lake.operations import Drop as Drop
    from headgate.lake.operations import Footprint as Footprint
    from headgate.lake.operations import Operation as Operation
    from headgate.lake.operations import Put as Put
    from headgate.lake.operations import Range as Range
    from headgate.lake.operations import Rename as Rename
    from headgate.lake.operations import Replace as Replace
    from headgate.lake.operations import Restore as Restore
    from headgate.lake.operations import Rewrite as Rewrite
    from headgate.lake.operations import SetProperties as SetProperties
    from headgate.lake.operations import Upsert as Upsert
    from headgate.lake.pins import Pin as Pin
    from headgate.lake.pins import PinKind as PinKind
    from headgate.lake.pins import commit_collected as commit_collected
    from headgate.lake.reached import table_entries as table_entries
    from headgate.lake.records import Commit as Commit
    from headgate.lake.records import Isolation as Isolation
    from headgate.lake.records import Kind as Kind
    from headgate.lake.records import Read as Read
    from headgate.lake.records import Record as Record
    from headgate.lake.records import RowCounts as RowCounts
    from headgate.lake.records import Skip as Skip
    from headgate.lake.records import StepRecord as StepRecord
    from headgate.lake.records import Write as Write
    from headgate.lake.relocating import Relocated as Relocated
    from headgate.lake.relocating import is_moved as is_moved
    from headgate.lake.relocating import relocate as relocate
    from headgate.lake.restoring import Restored as Restored
    from headgate.lake.restoring import restore as restore
    from headgate.lake.retention import SHORTEST_GRACE as SHORTEST_GRACE
    from headgate.lake.retention import Keep as Keep
    from headgate.lake.retention import RetentionPolicy as RetentionPolicy
    from headgate.lake.retention import in_force as in_force
    from headgate.lake.reverting import RefuseRevert as RefuseRevert
    from headgate.lake.reverting import Replay as Replay
    from headgate.lake.reverting import RestoreEntry as RestoreEntry
    from headgate.lake.reverting import RevertDecision as RevertDecision
    from headgate.lake.reverting import revert_decision as revert_decision
    from headgate.lake.serialization import Edge as Edge
    from headgate.lake.serialization import GraphConflict as GraphConflict
    from headgate.lake.serialization import History as History
    from headgate.lake.serialization import Transaction as Transaction
    from headgate.lake.serialization import conflict as conflict
    from headgate.lake.serialization import low as low
    from headgate.lake.sql_erasing import Erasure as Erasure
    from headgate.lake.sql_erasing import struck_json as struck_json
    from headgate.lake.storage import Storage as Storage
    from headgate.lake.swept import LostRun as LostRun
    from headgate.lake.swept import Swept as Swept
    from headgate.lake.table_states import FileExchange as FileExchange
    from headgate.lake.tables import Tables as Tables
    from headgate.lake.trees import Tree as Tree
    from headgate.lake.write_plans import WritePlan as WritePlan

_FILES = {
    "collected": ("explaining", "refuse_collected", "refuse_emptied"),
    "collecting": ("Collection",),
    "pins": ("Pin", "PinKind", "commit_collected"),
    "retention": ("SHORTEST_GRACE", "Keep", "RetentionPolicy", "in_force"),
    "swept": ("LostRun", "Swept"),
    "backups": ("BackedUp", "BackupManifest", "back_up", "backups_at", "verify_backup"),
    "bounds": ("bounds_meet", "holding", "prune"),
    "column_types": ("plain",),
    "compacting": ("Group", "batches", "files_until_due", "plan_groups"),
    "contents": ("content_after", "content_chain"),
    "diffing": ("Change",),
    "durability": ("FileSync", "SystemSync", "sync"),
    "effects": (
        "operations_by_key",
        "operations_in_effect",
        "operations_since",
        "reads_at_base",
    ),
    "file_problems": ("Problem",),
    "entries": (
        "Entry",
        "TableBody",
        "blob_key",
        "contract_key",
        "cursor_key",
        "step_key",
        "table_key",
    ),
    "footprints": (
        "cover",
        "meet",
    ),
    "iceberg_catalog": ("IcebergCatalog",),
    "iceberg_session": ("IcebergSession",),
    "lake": (
        "Candidate",
        "Lake",
    ),
    "merging": (
        "Apply",
        "Ask",
        "Decision",
        "Facts",
        "KeepPointer",
        "MergeConflict",
        "NoOp",
        "Question",
        "Reexecute",
        "merge_decision",
        "questions",
    ),
    "metastore": (
        "Backup",
        "Branch",
        "EventRow",
        "Metastore",
        "Outcome",
        "Reservation",
        "RunRow",
        "RunState",
        "StepRow",
        "StepState",
        "Tag",
    ),
    "migrations": ("Upgraded",),
    "object_storage": ("ObjectStorage",),
    "operations": (
        "AddColumn",
        "Append",
        "ChangeSchema",
        "Column",
        "Create",
        "Delete",
        "Drop",
        "Footprint",
        "Operation",
        "Put",
        "Range",
        "Rename",
        "Replace",
        "Restore",
        "Rewrite",
        "SetProperties",
        "Upsert",
    ),
    "records": (
        "Commit",
        "Isolation",
        "Kind",
        "Read",
        "Record",
        "RowCounts",
        "Skip",
        "StepRecord",
        "Write",
    ),
    "reached": ("table_entries",),
    "relocating": ("Relocated", "is_moved", "relocate"),
    "restoring": ("Restored", "restore"),
    "epochs": ("refuse_stranger", "why_not_owner"),
    "erased_files": ("RowGroup", "StoredRows"),
    "erasing": ("ErasedHistory", "TableVersions", "WholeHistory", "whole_history"),
    "sql_erasing": ("Erasure", "struck_json"),
    "reverting": ("RefuseRevert", "Replay", "RestoreEntry", "RevertDecision", "revert_decision"),
    "serialization": (
        "Edge",
        "GraphConflict",
        "History",
        "Transaction",
        "conflict",
        "low",
    ),
    "storage": ("Storage",),
    "table_states": ("FileExchange",),
    "damaged_files": ("damage",),
    "tables": ("Tables",),
    "trees": ("Tree",),
    "write_plans": ("WritePlan",),
}

__getattr__, __dir__, __all__ = door(__name__, _FILES)
