"""HTTP: how web servers are asked and told, for every room that meets them.

Connections, what failed and whether it may succeed later, whom a key is sent to, how an address is
shown. Names load when they are first touched: addresses are looked at without the library.
"""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.http.bounds import Bounds as Bounds
    from headgate.http.client import HttpClient as HttpClient
    from headgate.http.connections import Connections as Connections
    from headgate.http.crew import Crew as Crew
    from headgate.http.failures import WORTH_AGAIN as WORTH_AGAIN
    from headgate.http.failures import Failed as Failed
    from headgate.http.failures import is_worth_again as is_worth_again
    from headgate.http.failures import server_message as server_message
    from headgate.http.failures import status_words as status_words
    from headgate.http.failures import too_late as too_late
    from headgate.http.failures import wait_asked as wait_asked
    from headgate.http.gates import Gate as Gate
    from headgate.http.messages import USER_AGENT as USER_AGENT
    from headgate.http.messages import Answer as Answer
    from headgate.http.messages import Credentials as Credentials
    from headgate.http.messages import Request as Request
    from headgate.http.retry_after import asked_wait as asked_wait
    from headgate.http.urls import HIDDEN as HIDDEN
    from headgate.http.urls import basic as basic
    from headgate.http.urls import followed as followed
    from headgate.http.urls import joined as joined
    from headgate.http.urls import origin as origin
    from headgate.http.urls import shown as shown
    from headgate.http.urls import with_query as with_query
    from headgate.http.urls import without_query as without_query
    from headgate.http.urls import without_user as without_user

_FILES = {
    "bounds": ("Bounds",),
    "client": ("HttpClient",),
    "connections": ("Connections",),
    "crew": ("Crew",),
    "failures": (
        "WORTH_AGAIN",
        "Failed",
        "is_worth_again",
        "server_message",
        "status_words",
        "too_late",
        "wait_asked",
    ),
    "gates": ("Gate",),
    "messages": ("USER_AGENT", "Answer", "Credentials", "Request"),
    "retry_after": ("asked_wait",),
    "urls": (
        "HIDDEN",
        "basic",
        "followed",
        "joined",
        "origin",
        "shown",
        "with_query",
        "without_query",
        "without_user",
    ),
}

__getattr__, __dir__, __all__ = door(__name__, _FILES)
