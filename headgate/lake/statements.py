"""The metastore's SQL, one text for SQLite and PostgreSQL.

A ``Dialect`` turns a text into a database's own: ``?`` is a parameter, ``in ([list])`` as many as
there are values, ``[lock]`` locks the row read until the transaction ends, ``[settled]`` leaves
rows out that a transaction still at work may yet precede, and the rest stands for types.
Instants are whole microseconds since 1970 (UTC); truth is 0 or 1; mappings are JSON texts.
"""

SCHEMA = (
    "create table lake (key [text] primary key, value [text] not null)[clustered]",
    "create table nodes (hash [bytes] primary key, body [bytes] not null)[table]",
    """create table commits (
        id [text] primary key, parent [text], number [integer] not null, jump [text] not null,
        body [bytes] not null
    )[table]""",
    """create table branches (
        name [text] primary key, head [text] not null, number [integer] not null,
        protected [integer] not null, created [integer] not null
    )[clustered]""",
    """create table moves (
        branch [text] not null, sequence [integer] not null, at [integer] not null,
        head [text] not null, primary key (branch, sequence)
    )[clustered]""",
    """create table tags (
        name [text] primary key, commit_id [text] not null, created [integer] not null
    )[clustered]""",
    """create table runs (
        id [text] primary key, pipeline [text] not null, target [text] not null,
        branch [text] not null, state [text] not null, fence [integer] not null,
        base [text] not null, began [integer] not null, owner [text] not null,
        lease_until [integer] not null, commit_id [text], reason [text], settings [text] not null
    )[table]""",
    "create index runs_by_age on runs (began)",
    "create index runs_by_pipeline on runs (pipeline, began)",
    """create table steps (
        run [text] not null, step [text] not null, state [text] not null,
        attempt [integer] not null, commit_id [text], reason [text], started [integer],
        ended [integer], primary key (run, step)
    )[clustered]""",
    """create table events (
        number [counter], run [text], step [text], kind [text] not null, at [integer] not null,
        body [text] not null[transaction]
    )[table]""",
    "create index events_by_run on events (run, number)",
    """create table tickets (
        branch [text] not null, run [text] not null, fence [integer] not null,
        keys [text] not null, until [integer] not null, primary key (branch, run)
    )[clustered]""",
    """create table reservations (
        branch [text] not null, run [text] not null, began [integer] not null,
        keys [text] not null, until [integer] not null, primary key (branch, run)
    )[clustered]""",
    """create table id_counters (
        scope [text] primary key, next_number [integer] not null
    )[clustered]""",
    """create table ids (
        scope [text] not null, name [text] not null, number [integer] not null,
        primary key (scope, name)
    )[clustered]""",
)
"""Format 1. It never changes: what a format adds stands in a tuple of its own below."""

ADDED_IN_2: tuple[str, ...] = (
    # What must be kept because a copy of the metastore elsewhere still needs it: ``commits`` are
    # roots (a JSON list of ids) like the heads of branches, until ``expires`` (NULL: no end).
    """create table backups (
        name [text] primary key, created [integer] not null, expires [integer],
        location [text] not null, commits [text] not null
    )[table]""",
    # Who may delete files: see ``epochs``. The first epoch is the lake's id.
    """insert into lake (key, value) select 'epoch', value from lake where key = 'id'
        on conflict (key) do nothing""",
    # Retention: since when a commit has lost its tree and files, and its operations' files; which
    # collection is about to delete a node; who holds which commits; what may go, since when.
    "alter table commits add column collected [integer]",
    "alter table commits add column emptied [integer]",
    "alter table nodes add column doomed [text]",
    """create table pins (
        id [text] primary key, kind [text] not null, holder [text] not null,
        commit_id [text] not null, since [integer], created [integer] not null, until [integer],
        why [text] not null
    )[table]""",
    "create index pins_by_holder on pins (holder)",
    """create table marks (
        kind [text] not null, name [text] not null, at [integer] not null,
        primary key (kind, name)
    )[clustered]""",
)

# -- the lake itself
FACT = "select value from lake where key = ?"
FACTS = "select key, value from lake"
PUT_FACT = """insert into lake (key, value) values (?, ?)
    on conflict (key) do update set value = excluded.value"""

# -- backups: what the sweep must keep for them
BACKUPS = "select name, created, expires, location, commits from backups order by created, name"
PUT_BACKUP = """insert into backups (name, created, expires, location, commits)
    values (?, ?, ?, ?, ?)
    on conflict (name) do update set expires = excluded.expires, commits = excluded.commits"""
DELETE_BACKUP = "delete from backups where name = ?"

# -- a restored lake begins anew
RUNS_AT_WORK = "select id from runs where state in ('running', 'publishing') order by id"
PARK_RUNS = """update runs set state = 'parked', fence = fence + 1, lease_until = 0, reason = ?
    where state in ('running', 'publishing')"""
DROP_ALL_CLAIMS = ("delete from tickets", "delete from reservations")
FORGET_BACKUPS = "delete from backups"

# -- nodes
NODES = "select hash, body from nodes where hash in ([list])"
PUT_NODE = """insert into nodes (hash, body) values (?, ?)
    on conflict (hash) do update set doomed = null where nodes.doomed is not null"""

# -- commits
COMMITS = "select id, body, jump from commits where id in ([list])"
LINK = "select id, parent, number, jump from commits where id = ?"
PUT_COMMIT = """insert into commits (id, parent, number, jump, body) values (?, ?, ?, ?, ?)
    on conflict (id) do nothing"""
FIND_COMMITS = "select id from commits where id >= ? and id < ? order by id limit ?"
CHAIN = """with recursive chain (id, parent, number) as (
        select id, parent, number from commits where id = ? and number > ?
        union all
        select commits.id, commits.parent, commits.number
        from chain join commits on commits.id = chain.parent where commits.number > ?
    )
    select commits.id, commits.body, commits.jump from chain join commits on commits.id = chain.id
    order by commits.number desc"""

# -- branches and tags
BRANCHES = "select name, head, number, protected, created from branches order by name"
BRANCH = """select found.name, found.head, found.number, found.protected, found.created, told.value
    from (select max(value) as value from lake where key = 'erasures') told
    left join branches found on found.name = ?"""  # how often rows were erased, in any case
PUT_BRANCH = """insert into branches (name, head, number, protected, created)
    select ?, id, number, ?, ? from commits where id = ?
    on conflict (name) do nothing returning name"""
DELETE_BRANCH = "delete from branches where name = ? and head = ? and protected = 0"
PROTECT = "update branches set protected = ? where name = ?"
LOCK_BRANCH = "select head, protected from branches where name = ?[lock]"
MOVE_BRANCH = """update branches set head = ?, number = ? where name = ? and head = ?
    returning name"""
TAGS = "select name, commit_id, created from tags order by name"
TAG = "select name, commit_id, created from tags where name = ?"
PUT_TAG = """insert into tags (name, commit_id, created) select ?, id, ? from commits where id = ?
    on conflict (name) do nothing"""
DELETE_TAG = "delete from tags where name = ?"

# -- where branches were when
PUT_MOVE = """insert into moves (branch, sequence, at, head)
    select moved.branch, coalesce(last.sequence, 0) + 1,
        case when moved.at < last.at then last.at else moved.at end, moved.head
    from (select cast(? as text) as branch, cast(? as bigint) as at, cast(? as text) as head) moved
    left join (
        select sequence, at from moves where branch = ? order by sequence desc limit 1
    ) last on 1 = 1"""
HEAD_AT = """select head from moves where branch = ? and at <= ?
    order by sequence desc limit 1"""
DELETE_MOVES = "delete from moves where branch = ?"

# -- runs
_RUN = """id, pipeline, target, branch, state, fence, base, began, owner, lease_until, commit_id,
    reason, settings"""
RUN = f"select {_RUN} from runs where id = ?"
RUNS = f"select {_RUN} from runs order by began desc, id desc limit ?"
RUNS_OF_PIPELINE = f"""select {_RUN} from runs where pipeline = ?
    order by began desc, id desc limit ?"""
RUNS_IN_STATES = f"""select {_RUN} from runs where state in ([list])
    order by began desc, id desc limit ?"""
RUNS_OF_PIPELINE_IN_STATES = f"""select {_RUN} from runs where state in ([list]) and pipeline = ?
    order by began desc, id desc limit ?"""
LEASED_RUNS = "select id, state, owner from runs where lease_until > ? order by id"  # any format
FIND_RUNS = "select id from runs where id >= ? and id < ? order by id limit ?"
PUT_RUN = f"""insert into runs ({_RUN}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (id) do nothing returning id"""
LOCK_RUN = "select fence, state, branch from runs where id = ?[lock]"
TAKE_OVER = """update runs set fence = fence + 1, state = ?, owner = ?, lease_until = ?,
    reason = null where id = ?"""
SET_RUN = """update runs set state = ?, base = coalesce(?, base),
    commit_id = coalesce(?, commit_id), reason = coalesce(?, reason),
    lease_until = coalesce(?, lease_until) where id = ?"""
SET_BASE = "update runs set base = ? where id = ?"
PUBLISH_RUN = """update runs set state = ?, commit_id = ?, reason = null
    where id = ? and state = ? and fence = ? returning id"""
HEARTBEAT = "update runs set lease_until = ? where id = ?"

# -- steps and events
STEPS = """select run, step, state, attempt, commit_id, reason, started, ended
    from steps where run = ? order by step"""
PUT_STEP = """insert into steps (run, step, state, attempt, commit_id, reason, started, ended)
    values (?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (run, step) do update set state = excluded.state, attempt = excluded.attempt,
    commit_id = excluded.commit_id, reason = excluded.reason, started = excluded.started,
    ended = excluded.ended"""
_EVENT = "number, run, step, kind, at, body"
EVENTS = f"select {_EVENT} from events where number > ?[settled] order by number limit ?"
EVENTS_OF_RUN = f"""select {_EVENT} from events where run = ? and number > ?
    order by number limit ?"""
PUT_EVENT = "insert into events (run, step, kind, at, body) values (?, ?, ?, ?, ?)"

# -- publication order
TICKETS = """select run, fence, keys from tickets
    where branch = ? and until > ? and until <= ?"""
EXPIRE_TICKETS = "delete from tickets where branch = ? and until <= ?"
PUT_TICKET = """insert into tickets (branch, run, fence, keys, until) values (?, ?, ?, ?, ?)
    on conflict (branch, run) do update set fence = excluded.fence, keys = excluded.keys,
    until = excluded.until"""
DROP_TICKET = "delete from tickets where branch = ? and run = ?"
DROP_TICKETS = "delete from tickets where run = ?"
RESERVATIONS = """select run, began, keys, until from reservations where branch = ? and until > ?
    order by began, run"""
PUT_RESERVATION = """insert into reservations (branch, run, began, keys, until)
    values (?, ?, ?, ?, ?)
    on conflict (branch, run) do update set began = excluded.began, keys = excluded.keys,
    until = excluded.until"""
DROP_RESERVATION = "delete from reservations where branch = ? and run = ?"
DROP_RESERVATIONS = "delete from reservations where run = ?"

# -- ids
IDS = "select name, number from ids where scope = ? and name in ([list])"
RESERVE_IDS = """insert into id_counters (scope, next_number) values (?, ?)
    on conflict (scope) do update set next_number = case
        when id_counters.next_number < excluded.next_number then excluded.next_number
        else id_counters.next_number end
    returning next_number"""
PUT_ID = "insert into ids (scope, name, number) values (?, ?, ?)"
SET_NEXT_ID = "update id_counters set next_number = ? where scope = ?"

# -- pins: who holds which commits
_PIN = "id, kind, holder, commit_id, since, created, until, why"
PINS = f"select {_PIN} from pins order by created, id"
PUT_PIN = f"""insert into pins ({_PIN}) values (?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (id) do update set until = excluded.until"""
RENEW_PINS = "update pins set until = ? where holder = ? and until is not null"
DROP_PIN = "delete from pins where id = ?"
DROP_PINS = "delete from pins where holder = ?"
EXPIRE_PINS = "delete from pins where until < ?"

# -- what may go, since when
MARKS = "select name, at from marks where kind = ? and name > ? order by name limit ?"
PUT_MARK = """insert into marks (kind, name, at) values (?, ?, ?)
    on conflict (kind, name) do nothing"""
DROP_MARK = "delete from marks where kind = ? and name = ?"

# -- collecting
RUNS_WITH_ROOTS = f"""select {_RUN} from runs
    where state in ('running', 'publishing', 'failed', 'parked')
    or branch in (select name from branches) order by id"""
ROOTS = """select head from branches union select commit_id from tags
    union select base from runs where state in ('running', 'publishing', 'failed', 'parked')
    union select commit_id from pins where until is null or until > ?"""
LOCK_COMMIT = "select id, collected, emptied from commits where id = ?[lock]"
LOCK_COMMITS = """select id, collected, emptied from commits where id in ([list])
    order by id[lock]"""
COMMITS_AFTER = """select id, parent, number, collected, emptied from commits where id > ?
    order by id limit ?"""
COLLECTED = "select id, collected, emptied from commits where id in ([list])"
COLLECT = "update commits set collected = ? where id = ? and collected is null"
EMPTY = "update commits set emptied = ? where id = ? and emptied is null"
DELETE_COMMIT = "delete from commits where id = ? and collected is not null"
NODES_AFTER = "select hash from nodes where hash > ? order by hash limit ?"
LOCK_NODES = "select hash from nodes where hash in ([list]) order by hash[lock]"
DOOM_NODE = "update nodes set doomed = ? where hash = ?"
SPARE_NODE = "update nodes set doomed = null where hash = ? and doomed = ?"
DELETE_NODE = "delete from nodes where hash = ? and doomed = ?"

# -- rows that say nothing any more
OLD_MOVES = """delete from moves where branch = ? and sequence <
    (select max(sequence) from moves as later where later.branch = ? and later.at <= ?)"""
FIRST_MOVE = "select at, head from moves where branch = ? order by sequence limit 1"
OLD_RUNS = """select id, state, branch, commit_id from runs where lease_until < ? and id > ?
    and state not in ('running', 'publishing', 'failed', 'parked')
    and (state not in ('published', 'adopted')
        or exists (select 1 from steps where steps.run = runs.id)
        or exists (select 1 from events where events.run = runs.id))
    order by id limit ?"""
DELETE_STEPS = "delete from steps where run = ?"
DELETE_EVENTS = "delete from events where run = ?"
DELETE_RUN = "delete from runs where id = ?"

# -- erasing rows from the history
DELETE_FACT = "delete from lake where key = ?"
LOCK_HEADS = "select name, head from branches order by name[lock]"
SET_COMMIT_BODY = "update commits set body = ? where id = ?"
RUN_TEXTS = "select id, reason, settings from runs order by id"
SET_RUN_TEXTS = "update runs set reason = ?, settings = ? where id = ?"
STEP_TEXTS = "select run, step, reason from steps where reason is not null order by run, step"
SET_STEP_REASON = "update steps set reason = ? where run = ? and step = ?"
SET_EVENT_BODY = "update events set body = ? where number = ?"
ERASED_COMMITS = """select id, substr(body, 1, 21) from commits where substr(body, 1, 1) = ?
    order by id"""
