"""Erasing rows from the whole history: the right to be forgotten (docs/decisions/020).

Found in every data file, written again without them, the history with it, in one transaction; then
the files go. Killed at any point, the same erasure does what is left.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta

import msgspec

from headgate.digests import digest, digest_json
from headgate.errors import Conflict, Invalid, NotFound, Refused
from headgate.lake import (
    Entry,
    ErasedHistory,
    Put,
    Record,
    Replace,
    StepRecord,
    TableVersions,
    WholeHistory,
    Write,
    blob_key,
    in_force,
    refuse_stranger,
    struck_json,
    table_key,
    whole_history,
)
from headgate.names import own_table_name, suggestion
from headgate.pipelines import condition as condition_of
from headgate.pipelines import named_in, without_literals
from headgate.runs.erased_rows import Condition, Found, RowSearch, Searched
from headgate.runs.erasures import Erased, ErasedTable, Request
from headgate.runs.quarantine import quarantine_table
from headgate.runs.verify import cases_of, judge_case, violation_lines
from headgate.runs.wiring import Wiring
from headgate.verdicts import State

CERTIFICATES = "erasures/"
_MOST_TRIES = 20
_STRUCK = "[erased]"
_OLD_COPIES = "metastore.sqlite.format-"


def erase(wiring: Wiring, request: Request, *, drop_caches: Callable[[], None]) -> Erased:
    """Erase rows from every commit, or say what would go.

    Raises:
        NotFound: ``unknown-table``. Invalid: ``bad-condition``, ``reason-names-value``.
        Refused: ``readers-at-work``, ``not-the-owner``. Conflict: ``parked``.
    """
    return _Erasing(wiring, request, drop_caches).run()


class _Erasing:
    def __init__(self, wiring: Wiring, request: Request, drop_caches: Callable[[], None]) -> None:
        self._wiring = wiring
        self._lake = wiring.lake
        self._request = request
        self._drop_caches = drop_caches
        names = [own_table_name(table) for table in request.tables]
        self._names = frozenset((*names, *(quarantine_table(name) for name in names)))

    def run(self) -> Erased:
        lake, request = self._lake, self._request
        earlier = False
        if not request.only_plan:
            refuse_stranger(lake.storage, lake.metastore)
            earlier = self._finish()
        history, versions = self._looked()
        condition = self._condition(versions)
        self._refuse_naming(condition)
        with closing(self._wiring.engine().session()) as session:
            search = RowSearch(lake.tables, session, condition, only_look=request.only_plan)
            for _ in range(_MOST_TRIES):
                heads = {branch.name: branch.head for branch in lake.branches()}
                history, versions = self._looked()
                self._search(search, versions)
                done = self._report(search.found, history, versions, earlier=earlier)
                if request.only_plan or done.found_nothing:
                    return done
                self._await_readers()
                made = self._publish(search.found, condition, history, versions, heads, done)
                if made is not None:
                    self._finish()
                    return replace(made, broken=self._broken(made))
        raise Conflict(
            "parked",
            "Others moved branches of the lake again and again while rows were being erased.",
            readers="Nothing was erased.",
            hint="Try again when it is quieter.",
        )

    # -- what goes

    def _looked(self) -> tuple[WholeHistory, TableVersions]:
        history = whole_history(self._lake)
        versions = TableVersions(names=self._names)
        versions.look(self._lake, history)
        return history, versions

    def _condition(self, versions: TableVersions) -> Condition:
        """Read the condition; every table that is named has its columns.

        Raises:
            NotFound: ``unknown-table``. Invalid: ``bad-condition``.
        """
        text = ""
        for table in self._request.tables:
            entries = [e for name, e in versions.found.values() if name == table]
            if not entries:
                close = suggestion(table, sorted(self._known()))
                raise NotFound(
                    "unknown-table",
                    f"No commit of the lake has a table {table}.",
                    hint=f"Did you mean {close}?" if close else "Look: headgate table",
                    table=table,
                )
            names = dict.fromkeys(
                column.name for e in reversed(entries) if e.table for column in e.table.schema
            )
            text = condition_of(self._request.where, list(names), what=f"erasing from {table}")
        columns, literals = named_in(text)
        return Condition(text=text, columns=columns, literals=literals)

    def _known(self) -> Iterable[str]:
        tree = self._lake.tree(self._wiring.head(self._request.target))
        return (key.removeprefix(table_key("")) for key in tree.keys(table_key("")))

    def _refuse_naming(self, condition: Condition) -> None:
        """Refuse a reason that tells whom it is about.

        Raises:
            Invalid: ``reason-names-value``.
        """
        words = set(_words(self._request.reason))
        for literal in condition.literals:
            if literal in words or (len(literal) > 2 and literal in self._request.reason):  # noqa: PLR2004
                raise Invalid(
                    "reason-names-value",
                    "The reason names a value of the condition; it is kept, and the value must "
                    "not be.",
                    hint="Say why without saying who: a ticket's number, for example.",
                )

    def _search(self, search: RowSearch, versions: TableVersions) -> None:
        found = search.found
        searched = [self._searched(versions, uuid) for uuid in sorted(versions.uuids)]
        files = {each.uuid: self._files(each.uuid) for each in searched}
        tables = [each for each in searched if not each.is_quarantine]
        for each in tables:
            search.look_through(each, files[each.uuid].items())
        for each in tables:
            search.look_by_key(each, files[each.uuid])
        if not self._request.only_plan:
            for each in tables:
                made = {f.path for f in found.exchange.values() if f is not None}
                there = [*(p for p in files[each.uuid] if p not in found.exchange), *made]
                directory = f"data/{each.uuid}/"
                search.forget_shared_words(each, [p for p in there if p.startswith(directory)])
        for each in searched:
            if each.is_quarantine:
                search.look_through(each, files[each.uuid].items())

    def _searched(self, versions: TableVersions, uuid: str) -> Searched:
        entries = [
            (name, e) for name, e in versions.found.values() if e.table and e.table.uuid == uuid
        ]
        name, newest = entries[-1]
        columns = {c.id: c for _, e in entries if e.table for c in e.table.schema}
        if newest.table is not None:
            columns |= {c.id: c for c in newest.table.schema}
        keys = next((e.table.key_columns for _, e in reversed(entries) if e.table), ())
        types = None
        if name.startswith(quarantine_table("")):
            of = name.removeprefix(quarantine_table(""))
            types = {
                column.name: column.type
                for known, e in versions.found.values()
                if known == of and e.table
                for column in e.table.schema
            }
        return Searched(
            table=name, uuid=uuid, columns=tuple(columns.values()), key_columns=keys, types=types
        )

    def _files(self, uuid: str) -> Mapping[str, int]:
        stored = self._lake.storage.list(f"data/{uuid}")
        return {each.path: each.size_bytes for each in stored if each.path.endswith(".parquet")}

    # -- what is told

    def _report(
        self, found: Found, history: WholeHistory, versions: TableVersions, *, earlier: bool
    ) -> Erased:
        request = self._request
        keys = versions.keys
        runs = dict.fromkeys(
            commit.record.run
            for commit in history.commits
            if commit.record.run and any(read.key in keys for read in commit.record.reads)
        )
        tables = []
        for name in sorted(self._names & {n for n, _ in versions.found.values()}):
            gone = [p for p in found.exchange if p.startswith(self._directories(versions, name))]
            tables.append(
                ErasedTable(
                    table=name,
                    rows=self._rows_seen(name, found),
                    copies=found.rows.get(name, 0),
                    files=len(gone),
                    size_bytes=found.bytes.get(name, 0),
                )
            )
        return Erased(
            id=self._wiring.ids.run_id(),
            at=self._wiring.clock.now(),
            target=request.target,
            tables=tuple(tables),
            commits=len(history.commits),
            runs=tuple(run for run in runs if run),
            derived=_derived(self._wiring, request.target, keys),
            not_reached=tuple(self._not_reached(history, keys)),
            finished_earlier=earlier,
        )

    @staticmethod
    def _directories(versions: TableVersions, name: str) -> tuple[str, ...]:
        uuids = {e.table.uuid for n, e in versions.found.values() if n == name and e.table}
        return tuple(f"data/{uuid}/" for uuid in uuids)

    def _rows_seen(self, name: str, found: Found) -> int:
        """Count the rows that readers of the target lose."""
        entry = self._lake.tree(self._wiring.head(self._request.target)).get(table_key(name))
        if entry is None or entry.table is None:
            return 0
        lost = 0
        for file in self._lake.tables.files(entry):
            if file.path in found.exchange:
                lost += found.lost.get(file.path, 0)
        return lost

    def _not_reached(self, history: WholeHistory, keys: frozenset[str]) -> Iterable[str]:
        sources = dict.fromkeys(
            write.key.removeprefix("cursor/")
            for commit in history.commits
            for step in commit.record.steps
            if any(each.key in keys for each in step.writes)
            for write in step.writes
            if write.key.startswith("cursor/")
        )
        for name in sources:
            yield f"the source of {name}: while it holds the rows, it can bring them back"
        for backup in self._lake.metastore.backups():
            yield f"backup {backup.name} in {backup.location}"
        for stored in self._lake.storage.list():
            if stored.path.startswith(_OLD_COPIES):
                yield f"{stored.path}, a copy that an upgrade kept"
        yield "clones and exports of the lake, and what was delivered elsewhere"

    # -- how it goes

    def _await_readers(self) -> None:
        """Wait for readers that hold commits.

        Raises:
            Refused: ``readers-at-work``.
        """
        clock, retention = self._wiring.clock, self._lake.metastore.retention
        began_s = clock.monotonic_s()
        while True:
            pins = retention.pins()
            readers = [p for p in pins if p.kind == "reader" and in_force(p, clock.now())]
            if not readers:
                return
            if clock.monotonic_s() - began_s >= self._request.wait.total_seconds():
                told = ", ".join(sorted({f"{p.holder} ({p.why})" for p in readers}))
                raise Refused(
                    "readers-at-work",
                    f"Files that would go are being read by {told}.",
                    readers="Nothing was erased.",
                    hint="Wait for them (--wait SECONDS), or end them.",
                    holders=sorted({p.holder for p in readers}),
                )
            clock.sleep(timedelta(milliseconds=200))

    def _publish(
        self,
        found: Found,
        condition: Condition,
        history: WholeHistory,
        versions: TableVersions,
        heads: Mapping[str, str],
        told: Erased,
    ) -> Erased | None:
        lake, request, metastore = self._lake, self._request, self._lake.metastore
        words = sorted((*found.words, *_texts(condition)), key=len, reverse=True)

        def struck(text: str) -> str:
            for word in words:
                if word in text:
                    text = text.replace(word, _STRUCK)
            return text

        erased = ErasedHistory(
            lake,
            versions,
            words=struck,
            predicates=lambda text: struck(without_literals(text, condition.literals)),
        )
        there = [
            stored.path
            for uuid in sorted(versions.uuids)
            for stored in lake.storage.list(f"metadata/{uuid}")
        ]
        erased.write(history, found.exchange, found.looked_at)
        new = erased.new_files()
        lake.storage.sync(sorted(new - set(there)), by=self._wiring.sync)
        self._strike_logs(struck)
        self._drop_caches()
        salt = self._wiring.ids.unique()
        body = {
            "format": 1,
            "id": told.id,
            "lake": lake.id,
            "at": told.at.isoformat(),
            "reason": request.reason,
            "condition": digest(salt, condition.text),
            "tables": [msgspec.to_builtins(each) for each in told.tables],
            "runs": list(told.runs),
            "derived": list(told.derived),
            "not_reached": list(told.not_reached),
            "commits": dict(sorted(erased.digests.items())),
        }
        certificate = digest_json(body)
        text = json.dumps({**body, "digest": certificate}, sort_keys=True)
        key = blob_key(f"{CERTIFICATES}{told.id}")
        entry = Entry(kind="blob", content=certificate, data=text)
        write = Write(key=key, operations=(Put(content=certificate),), content=certificate)
        head = lake.commit(heads[request.target])
        record = Record(
            kind="maintenance",
            at=told.at,
            message=f"erase rows of {', '.join(request.tables)}: {request.reason}",
            base=head.id,
            base_number=head.number,
            steps=(StepRecord(step="erase", writes=(write,)),),
        )
        files = sorted((set(there) - new).union(found.exchange))
        erasure = erased.erasure(
            head,
            heads=heads,
            target=request.target,
            record=record,
            changes={key: entry},
            left_to_do=json.dumps({"id": told.id, "files": files}),
            texts=tuple(metastore.erasing.texts(struck)),
        )
        if not metastore.erasing.erase(erasure):
            return None
        metastore.branch(request.target)  # what is remembered of commits is forgotten
        lake.tables.forget()
        return replace(
            told,
            commits=len(erased.bodies),
            commit=erasure.commit,
            certificate=certificate,
            salt=salt,
        )

    def _finish(self) -> bool:
        """Do what an erasure that took place has left to do; say whether there was anything."""
        metastore = self._lake.metastore
        left = metastore.erasing.left_to_do()
        if left is None:
            return False
        self._lake.storage.delete(json.loads(left)["files"])
        metastore.purge()
        metastore.erasing.all_done()
        return True

    def _strike_logs(self, struck: Callable[[str], str]) -> None:
        """Strike words out of the project's logs: of events' free texts, and of other lines."""
        for directory in self._request.logs:
            for path in sorted(directory.glob("*")) if directory.is_dir() else ():
                if not path.is_file():
                    continue
                found = path.read_bytes()
                text = found.decode(errors="surrogateescape")
                lines = (_struck_line(line, struck) for line in text.splitlines(keepends=True))
                content = "".join(lines).encode(errors="surrogateescape")
                if content != found:
                    making = path.with_name(f".{path.name}.making")
                    making.write_bytes(content)
                    making.replace(path)

    def _broken(self, made: Erased) -> tuple[str, ...]:
        """Say which contracts fail now; they do not keep anybody from being forgotten."""
        if made.commit is None:
            return ()
        tree = self._lake.tree(made.commit)
        keys = {table_key(each.table): None for each in made.tables}
        verdicts = [judge_case(self._wiring, tree, case) for case in cases_of(tree, keys)]
        failed = [verdict for verdict in verdicts if verdict.state is State.FAILED]
        return tuple(line for verdict in failed for line in violation_lines(verdict))


def _struck_line(line: str, struck: Callable[[str], str]) -> str:
    if line.startswith("{"):
        with suppress(ValueError, msgspec.DecodeError):
            return struck_json(line.rstrip("\n"), struck) + line[len(line.rstrip("\n")) :]
    return struck(line)


def _derived(wiring: Wiring, target: str, keys: frozenset[str]) -> tuple[str, ...]:
    """Give the tables that were computed from others, however indirectly, and still are."""
    affected: set[str] = set()
    for commit in wiring.lake.window(wiring.head(target), since=-1):
        for step in commit.record.steps:
            read = any(read.key in keys or read.key in affected for read in step.reads)
            for write in step.writes:
                if write.key in keys or not write.key.startswith("table/"):
                    continue
                if read:
                    affected.add(write.key)
                elif any(isinstance(each, Replace) for each in write.operations):
                    affected.discard(write.key)
    return tuple(sorted(key.removeprefix("table/") for key in affected))


def _texts(condition: Condition) -> tuple[str, ...]:
    """Give the condition's literals that are texts worth striking out wherever they stand."""
    return tuple(each for each in condition.literals if len(each) > 2 and not _is_number(each))  # noqa: PLR2004


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _words(text: str) -> Iterable[str]:
    word = ""
    for char in f"{text} ":
        if char.isalnum() or char in "._@-":
            word += char
        elif word:
            yield from (word, word.strip("._@-"))
            word = ""
