"""A webhook as a sink: each published commit as signed messages, at least once, in order.

The receiver tells a repetition by ``webhook-id``, which is that of the first time. A commit that
was interrupted begins again with its first part.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random

from headgate.retrying import Retry
from headgate.sinks.posting import Posting, plainly_shown
from headgate.sinks.sink import Delivery, Description, Position, Setting
from headgate.sinks.webhook_options import webhook_options
from headgate.sinks.webhook_parts import message_id, parts
from headgate.sinks.webhook_signing import signed_headers, signing_key


class WebhookSink:
    """Posts commits as JSON, signed by Standard Webhooks.

    Options: ``url``, ``secret`` (``whsec_...``, or a list of them), ``headers``, ``most_rows``,
    ``most_bytes``, ``timeout_s``, ``attempts``, ``ca_file``.

    Raises:
        Invalid: ``bad-option``.
    """

    kind = "webhook"
    remembers = False
    edits = True

    def __init__(
        self, options: Mapping[str, object], setting: Setting, *, random: Random | None = None
    ) -> None:
        self._options = webhook_options(options)
        self._setting = setting
        self._random = random or Random()  # noqa: S311 - waits, no secrets
        self._posting: Posting | None = None

    def describe(self) -> Description:
        """Say where messages go. No I/O."""
        url = self._options.url
        signed = "signed" if self._options.secret else "not signed"
        return Description(
            kind=self.kind,
            title=plainly_shown(url) if isinstance(url, str) else repr(url),
            facts={"messages": signed, "rows in one": f"{self._options.most_rows:,} at most"},
        )

    def position(self) -> Position | None:
        """Give None: the receiver is not asked what it has."""
        return None

    def place(self, position: Position | None) -> None:
        """Do nothing: the receiver tells repetitions by the messages' ids."""

    def deliver(self, delivery: Delivery) -> Mapping[str, int]:
        """Post a commit part by part; the next one when the one before is taken.

        A commit without tables is no message.

        Raises:
            Unavailable: ``webhook-unavailable``. Refused: ``webhook-refused``, ``webhook-gone``,
            ``certificate-not-trusted``. Invalid: ``bad-address``, ``bad-signing-secret``,
            ``ca-file-unreadable``, ``sink-value-impossible``.
        """
        setting, options = self._setting, self._options
        keys = [signing_key(setting.reveal(each), setting.name) for each in options.secret]
        own = {name: setting.reveal(value) for name, value in options.headers.items()}
        sent = {each.table: 0 for each in delivery.tables}
        made = parts(delivery, setting, most_rows=options.most_rows, most_bytes=options.most_bytes)
        for part in made:
            self._post(part.body, keys, message_id(delivery, setting, part.number), own)
            for table, rows in part.rows.items():
                sent[table] += rows
        return sent

    def close(self) -> None:
        """Close the connection."""
        if self._posting is not None:
            self._posting.close()
            self._posting = None

    def _post(self, body: bytes, keys: Sequence[bytes], id: str, own: Mapping[str, str]) -> None:
        def headers() -> Mapping[str, str]:
            """Sign an attempt with its own time: receivers refuse what is minutes old."""
            signed = signed_headers(keys, id=id, sent=self._setting.clock.now(), body=body)
            return {**own, **signed, "content-type": "application/json"}

        self._connected().post(body, headers)

    def _connected(self) -> Posting:
        if self._posting is None:
            options, setting = self._options, self._setting
            url = setting.reveal(options.url)
            self._posting = Posting(
                url,
                where=plainly_shown(url, path=isinstance(options.url, str)),
                clock=setting.clock,
                random=self._random,
                retry=Retry(attempts=options.attempts, longest=timedelta(seconds=30)),
                timeout_s=options.timeout_s,
                ca_file=setting.root / options.ca_file if options.ca_file else None,
            )
        return self._posting
