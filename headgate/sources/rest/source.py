"""REST APIs as a source: declared, not programmed.

A reading asks for the pages, side by side where they do not depend on each other, and gives their
records as JSON text, each once and in order, with the place it was found at.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path as FilePath
from random import Random, SystemRandom

import yaml

from headgate.errors import Invalid, NotFound
from headgate.http import Crew, Gate, HttpClient, origin, shown
from headgate.names import suggestion
from headgate.secrets import Secret
from headgate.sources.cursors import Cursor
from headgate.sources.rest.answers import Page
from headgate.sources.rest.authorizing import Tokens, authority
from headgate.sources.rest.batching import batches
from headgate.sources.rest.boundary import KIND
from headgate.sources.rest.declaration import Auth, Declaration, no_way_to_append, parsed
from headgate.sources.rest.fetching import Fetcher, hidden_names
from headgate.sources.rest.reading import Reading
from headgate.sources.source import Batch, Description, NativeRead, Setting


class RestSource:
    """A list of records of an API.

    Options are those of ``hg.rest``, or ``file``, a YAML file of them relative to the project, with
    ``resource``, one of its ``resources``; what is said beside it counts more.

    Raises:
        Invalid: ``bad-option``, ``unknown-option``, ``bad-address``, ``bad-retry``.
    """

    kind = KIND

    def __init__(
        self, options: Mapping[str, object], setting: Setting, *, random: Random | None = None
    ) -> None:
        self._options = dict(options)
        self._setting = setting
        self._random = random or SystemRandom()
        self._declared = None if "file" in options else parsed(options)
        self._client: HttpClient | None = None

    def describe(self) -> Description:
        """Say which list is meant. No I/O."""
        if self._declared is None:
            resource = self._options.get("resource")
            title = f"{resource} of {self._options['file']}" if resource else "REST API"
            return Description(kind=self.kind, title=title)
        declared = self._declared
        title = shown(declared.address, hidden_names(declared))
        facts = {"method": declared.method}
        if declared.pages is not None:
            facts["pages"] = getattr(declared.pages, "by", "time")
        return Description(kind=self.kind, title=title, facts=facts)

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor."""
        return Cursor.parse(text, kind=self.kind)

    def fingerprint(self) -> None:
        """Give None: an API says what it holds only when it is read."""

    def native(self, cursor: Cursor | None) -> NativeRead | None:  # noqa: ARG002
        """Give None: there are no files."""
        return None

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Give the records after a cursor.

        Raises:
            Invalid: ``rest-cannot-append``; what the API sent is not what was declared.
            Unavailable, Refused, NotFound, Corrupt: what went wrong, with address and page.
        """
        declared = self._declaration()
        if self._setting.appends and not declared.reads_on:
            raise no_way_to_append(self.describe().title)
        crew: Crew[Page] = Crew(
            width=declared.parallel,
            clock=self._setting.clock,
            random=self._random,
            retry=declared.retry,
            gate=lambda _: _gate(declared),
        )
        reading = Reading(
            declaration=declared,
            crew=crew,
            fetcher=self._fetchers(),
            host=origin(declared.url),
            clock=self._setting.clock,
            hidden=frozenset(hidden_names(declared)),
            appends=self._setting.appends,
        )
        with closing(self), crew:
            yield from batches(
                reading.pieces(cursor),
                cursor,
                rows=declared.batch_rows,
                keep_pages=declared.keep_pages,
            )

    def acknowledge(self, cursor: Cursor) -> None:
        """Do nothing: an API keeps nothing for us."""

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _declaration(self) -> Declaration:
        if self._declared is None:
            self._declared = parsed(_from_file(self._options, self._setting.root))
        return self._declared

    def _fetchers(self) -> Callable[[Declaration], Fetcher]:
        """Give the maker of fetchers, which share connections and tokens."""
        top = self._declaration()
        client = self._connected(top)
        made: dict[int, Fetcher] = {}
        shared: list[Tokens] = []

        def tokens(auth: Auth, headers: Callable[[], Mapping[str, str]]) -> Tokens:
            if not shared:
                shared.append(
                    Tokens(
                        auth,
                        client=client,
                        clock=self._setting.clock,
                        random=self._random,
                        retry=top.retry,
                        reveal=self._setting.reveal,
                        headers=headers,
                    )
                )
            return shared[0]

        def fetcher(declared: Declaration) -> Fetcher:
            known = made.get(id(declared))
            if known is None:
                secrets = {n: v for n, v in declared.params.items() if isinstance(v, Secret)}
                who = authority(
                    declared.auth,
                    headers=declared.headers,
                    query=secrets,
                    tokens=tokens,
                    reveal=self._setting.reveal,
                )
                known = made[id(declared)] = Fetcher(declared, client, who)
            return known

        return fetcher

    def _connected(self, declared: Declaration) -> HttpClient:
        if self._client is None:
            ca_file = self._setting.root / declared.ca_file if declared.ca_file else None
            hidden: set[str] = set()
            trusted: set[str] = set()
            each: Declaration | None = declared
            while each is not None:
                hidden.update(hidden_names(each))
                trusted.update(each.trusted)
                if each.auth is not None and each.auth.token_url:
                    trusted.add(origin(each.auth.token_url))
                each = each.parent
            self._client = HttpClient(
                clock=self._setting.clock,
                bounds=declared.bounds,
                ca_file=ca_file,
                trusted=frozenset(trusted),
                hidden=frozenset(hidden),
            )
        return self._client


def _gate(declared: Declaration) -> Gate:
    rate = declared.rate
    return Gate() if rate is None else Gate(interval=rate.interval, burst=rate.burst)


def _from_file(options: Mapping[str, object], root: FilePath) -> dict[str, object]:
    """Lay a resource of a YAML file under the options: file, resource, what is said beside it."""
    name = str(options["file"])
    try:
        content = yaml.safe_load((root / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(
            "file-missing", f"There is no file {name} in {root}.", hint="Check file=.", path=name
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        place = getattr(error, "problem_mark", None)
        where = f"{name}:{place.line + 1}" if place is not None else name
        why = getattr(error, "problem", None) or "it is no YAML file"
        raise Invalid("rest-yaml", f"{where} cannot be read: {why}.", path=name) from error
    if not isinstance(content, dict):
        raise Invalid("rest-yaml", f"{name} is no mapping of options.", path=name)
    resources = content.pop("resources", None)
    own: Mapping[str, object] = {}
    wanted = options.get("resource")
    if resources is not None or wanted is not None:
        own = _resource(resources, wanted, name)
    beside = {key: value for key, value in options.items() if key not in {"file", "resource"}}
    return {**content, **own, **beside}


def _resource(
    resources: object, wanted: object, name: str, below: tuple[object, ...] = ()
) -> Mapping[str, object]:
    if wanted in below:
        raise Invalid("rest-yaml", f"{name}: {wanted!r} is its own parent.", path=name)
    known = resources if isinstance(resources, dict) else {}
    own = known.get(wanted)
    if not isinstance(own, dict):
        meant = suggestion(str(wanted), [str(each) for each in known])
        raise NotFound(
            "rest-resource-missing",
            f"{name} has no resource {wanted!r}; it has {', '.join(map(str, known)) or 'none'}.",
            hint=f"Did you mean {meant}?" if meant else 'Name one: resource="...".',
            path=name,
        )
    parent = own.get("parent")
    if isinstance(parent, str):
        above = dict(_resource(resources, parent, name, (*below, wanted)))
        return {**own, "parent": above}
    return own
