"""What went wrong, for people: whose error it is, on which line of theirs, in which step."""

import errno
import traceback
from collections.abc import Iterator
from pathlib import Path

from headgate.errors import HeadgateError, Invalid, StepFailed, Unavailable

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LONGEST = 65_536
_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_MET = "\nDuring handling of the above exception, another exception occurred:\n\n"


def step_failure(step: str, error: BaseException, root: Path) -> HeadgateError:
    """Give the error of a failed step; it begins with the step's name.

    What the user's code raised is wrapped, with the line in the project it came from. What a step's
    query or rows break is its failure, too, and keeps its code. Anything else (a full disk, a
    policy, a damaged file) stays what it is.
    """
    if isinstance(error, Invalid):
        error = StepFailed.of(error)
    elif isinstance(error, OSError) and not own_frames(error, root):
        error = system_trouble(error)
    if isinstance(error, HeadgateError):
        error.message = _named(step, error.message)
        return error
    failed = StepFailed(
        "step-raised",
        f"Step {step} raised {type(error).__name__}{_place(error, root)}: {said(error)}",
        step=step,
        error=type(error).__name__,
    )
    failed.__cause__ = error
    return failed


def system_trouble(error: OSError) -> Unavailable:
    """Give the error for what the operating system refused us: the file, and its reason."""
    path = error.filename or ""
    about = f" {path}" if path else ""
    if error.errno in _FULL:
        found = Unavailable(
            "disk-full",
            f"No space left on the disk for{about or ' what was to be written'}.",
            hint="Free space.",
            path=str(path),
        )
    else:
        found = Unavailable(
            "system-refused",
            f"The operating system refused{about}: {error.strerror or said(error)}.",
            hint="Look at the disk and at the rights on it.",
            path=str(path),
        )
    found.__cause__ = error
    return found


def user_traceback(error: BaseException, root: Path) -> str:
    """Give the traceback of what a step raised: the frames in the project's own files, no others.

    What led to the error is told where the project's code raised that, too. Empty where no code of
    the project was passed: the message says it all then, and the run's log has the rest.
    """
    return "".join(_told(error, root, set()))


def whole_traceback(error: BaseException) -> str:
    """Give all of a traceback, ours and that of the libraries, for the run's log."""
    return "".join(traceback.format_exception(error))[-_LONGEST:]


def _told(error: BaseException, root: Path, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    if not own_frames(error, root):
        return
    context = None if error.__suppress_context__ else error.__context__
    for link, words in ((error.__cause__, _CAUSED), (context, _MET)):
        if link is not None and id(link) not in seen:
            before = list(_told(link, root, seen))
            yield from [*before, words] if before else ()
            break
    shown = traceback.TracebackException.from_exception(error)
    _keep_own(shown, root)
    yield from shown.format(chain=False)


def _keep_own(shown: traceback.TracebackException, root: Path) -> None:
    """Leave the project's frames; of a group, in each of its errors, too."""
    for frame in [*shown.stack]:
        if not _is_own(Path(frame.filename), root):
            shown.stack.remove(frame)
    for one in getattr(shown, "exceptions", None) or ():
        _keep_own(one, root)


def own_frames(error: BaseException, root: Path) -> list[traceback.FrameSummary]:
    """Give the frames of an error's traceback that are in the project's own files."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if _is_own(Path(frame.filename), root)]


def _is_own(file: Path, root: Path) -> bool:
    if not file.is_relative_to(root):
        return False
    return "site-packages" not in file.relative_to(root).parts  # an environment inside the project


def _named(step: str, message: str) -> str:
    """Begin a message with the step's name; many do already."""
    if message.startswith(f"Step {step} "):
        return message
    if message.startswith((f"{step}: ", *(f"{step} {did} " for did in ("returned", "yielded")))):
        return f"Step {message}"
    return f"Step {step}: {message}"


def _place(error: BaseException, root: Path) -> str:
    own = own_frames(error, root)
    if own:
        return f" at {Path(own[-1].filename).relative_to(root)}:{own[-1].lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def said(error: BaseException) -> str:
    """Give an exception's message, whatever its ``__str__`` does."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the exception is the user's, and so is its __str__
        return "(its message cannot be shown)"
