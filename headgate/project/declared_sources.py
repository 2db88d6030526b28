"""Declared sources are made once before anything begins: what is wrong with them is said then.

Making a source of any kind, ours or a stranger's, checks its options and meets nothing outside.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import closing

from headgate.errors import HeadgateError, Invalid
from headgate.names import suggestion
from headgate.pipelines import STEP_OPTIONS, Step
from headgate.project.opened import Opened
from headgate.sources import Setting

_MEANT = re.compile(r"Did you mean (\w+)\?")


def check_sources(opened: Opened, steps: Iterable[Step]) -> None:
    """Refuse sources that could not be read, whatever is there to read.

    Raises:
        Invalid: ``bad-option``, ``unknown-option``, ``source-not-made``; what else a kind refuses.
        NotFound: ``unknown-plugin``, ``unknown-connection``.
        Unavailable: ``library-missing``, ``broken-plugin``.
    """
    for error in source_errors(opened, steps):
        raise error


def source_errors(opened: Opened, steps: Iterable[Step]) -> Iterator[HeadgateError]:
    """Give what is wrong with the steps' sources, a source at a time. Functions are none."""
    for step in steps:
        source = step.source
        if source is None or step.function is not None:
            continue
        setting = Setting(
            root=opened.settings.root,
            cache=opened.settings.cache / "sources",
            as_text=step.contract is not None,
            appends=step.mode == "append",
            reveal=opened.outside.reveal,
        )
        try:
            with closing(opened.outside.source(source.kind, dict(source.options), setting)):
                pass
        except HeadgateError as error:
            yield _placed(error, step)
        except Exception as error:  # noqa: BLE001 - a stranger's kind: whatever it raises is told
            made = Invalid(
                "source-not-made",
                f"Step {step.name}{_place(step)}: no source of the kind {source.kind} can be made "
                f"of its options: {type(error).__name__}: {error}",
                hint="Look at what it is declared with.",
                step=step.name,
                kind=source.kind,
            )
            made.__cause__ = error
            yield made


def _placed(error: HeadgateError, step: Step) -> HeadgateError:
    """Say of an error which step it is about, and name the step's own option that may be meant."""
    error.message = f"Step {step.name}{_place(step)}: {error.message}"
    error.facts = {"step": step.name, **error.facts}
    if error.code == "unknown-option":
        said = _MEANT.match(error.hint or "")
        known = {*STEP_OPTIONS, *((said[1],) if said else ())}
        meant = suggestion(str(error.facts.get("option")), known)
        error.hint = f"Did you mean {meant}?" if meant else error.hint
    return error


def _place(step: Step) -> str:
    return f" ({step.place})" if step.place is not None else ""
