"""``hg.airbyte``: a stream of an Airbyte connector as a step."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Unpack

from headgate.pipelines.declared_steps import Declaration, names
from headgate.pipelines.source_steps import StepOptions, declare_source

if TYPE_CHECKING:
    from headgate.secrets import Secret


def airbyte(
    command: str | Sequence[str] | None = None,
    *,
    stream: str,
    config: Mapping[str, object] | None = None,
    namespace: str | None = None,
    cursor_field: str | Sequence[str] = (),
    environment: "Mapping[str, str | Secret] | None" = None,
    repeats: Literal["refuse", "keep"] = "refuse",
    silence_s: float | None = None,
    connection: str | None = None,
    **options: Unpack[StepOptions],
) -> Declaration:
    """Declare a stream of a program that speaks the Airbyte protocol as a step without inputs.

    ``users = hg.airbyte(["source-faker"], stream="users", config={"count": 100}, key="id")``

    Args:
        command: what starts it, without ``read`` and its files; the connection may say it.
            ``{directory}`` in a word becomes the directory of those files (for
            ``docker run -v {directory}:{directory} ...``).
        stream: the stream's name.
        config: its configuration, with secrets: ``{"token": hg.secret("github")}``.
        namespace: the stream's, where several have its name.
        cursor_field: the field it reads on by, where it lets one choose.
        environment: variables for the program.
        repeats: connectors may give a record twice, so that rows must have a ``key``, or replace
            the table. ``keep`` lets ``mode="append"`` keep them twice.
        silence_s: after how long without a word it is ended; an hour.
        connection: a connection of the settings that holds some of these.
        options: those of the step, as in ``hg.files``. ``mode`` is ``upsert`` where there is a
            ``key``, else ``replace``.

    Raises:
        Invalid: what ``hg.step`` raises.
    """
    given = {
        "command": command if isinstance(command, str) else list(command or ()) or None,
        "config": config,
        "namespace": namespace,
        "cursor_field": list(names(cursor_field)) or None,
        "environment": environment,
        "silence_s": silence_s,
        "connection": connection,
        "repeats": None if repeats == "refuse" else repeats,
        "primary_key": list(names(options.get("key", ()))) or None,
    }
    mode = "upsert" if options.get("key") else "replace"
    return declare_source(
        "airbyte",
        {
            "stream": stream,
            **{name: value for name, value in given.items() if value is not None},
        },
        {"mode": mode, **options},
    )
