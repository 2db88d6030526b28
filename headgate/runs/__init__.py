"""The runs' door: pipelines become transactions here."""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.runs.beginning import is_alive as is_alive
    from headgate.runs.beginning import is_at_work as is_at_work
    from headgate.runs.beginning import is_resumable as is_resumable
    from headgate.runs.beginning import owner_name as owner_name
    from headgate.runs.choices import Choice as Choice
    from headgate.runs.compaction import Compaction as Compaction
    from headgate.runs.compaction import CompactionPlan as CompactionPlan
    from headgate.runs.consequences import Policy as Policy
    from headgate.runs.delivering import Delivered as Delivered
    from headgate.runs.delivering import Deliverer as Deliverer
    from headgate.runs.erasures import Erased as Erased
    from headgate.runs.erasures import Request as Request
    from headgate.runs.hall import Hall as Hall
    from headgate.runs.kept_for_sinks import let_go_of_sink as let_go_of_sink
    from headgate.runs.kept_for_sinks import undeclared_sinks as undeclared_sinks
    from headgate.runs.plan import Plan as Plan
    from headgate.runs.planned import PlannedStep as PlannedStep
    from headgate.runs.quarantine import quarantine_table as quarantine_table
    from headgate.runs.results import RunResult as RunResult
    from headgate.runs.revert_plans import RevertPlan as RevertPlan
    from headgate.runs.revert_plans import TableChange as TableChange
    from headgate.runs.rows_for_sinks import table_delivery as table_delivery
    from headgate.runs.sink_states import SinkState as SinkState
    from headgate.runs.sink_states import TableAtSink as TableAtSink
    from headgate.runs.skipping import last_output as last_output
    from headgate.runs.transaction import Transaction as Transaction
    from headgate.runs.wiring import Wiring as Wiring

_FILES = {
    "beginning": ("is_alive", "is_at_work", "is_resumable", "owner_name"),
    "choices": ("Choice",),
    "compaction": ("Compaction", "CompactionPlan"),
    "consequences": ("Policy",),
    "delivering": ("Delivered", "Deliverer"),
    "erasures": ("Erased", "Request"),
    "hall": ("Hall",),
    "kept_for_sinks": ("let_go_of_sink", "undeclared_sinks"),
    "plan": ("Plan",),
    "planned": ("PlannedStep",),
    "quarantine": ("quarantine_table",),
    "results": ("RunResult",),
    "revert_plans": ("RevertPlan", "TableChange"),
    "rows_for_sinks": ("table_delivery",),
    "sink_states": ("SinkState", "TableAtSink"),
    "skipping": ("last_output",),
    "transaction": ("Transaction",),
    "wiring": ("Wiring",),
}  # fmt: skip

__getattr__, __dir__, __all__ = door(__name__, _FILES)
