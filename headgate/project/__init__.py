"""The architect: reads settings, finds the user's declarations, wires the rooms into a Project."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.project.discovery import Discovery, discover
    from headgate.project.doctor import Finding, examine
    from headgate.project.project import Project, open_project
    from headgate.project.scaffolding import scaffold
    from headgate.project.settings import KEYS, Settings, find_root, read_settings
    from headgate.project.views import TableHandle, View

__all__ = [
    "KEYS",
    "Discovery",
    "Finding",
    "Project",
    "Settings",
    "TableHandle",
    "View",
    "discover",
    "examine",
    "find_root",
    "open_project",
    "read_settings",
    "scaffold",
]

_HOMES = {
    "KEYS": "settings",
    "Discovery": "discovery",
    "Finding": "doctor",
    "Project": "project",
    "Settings": "settings",
    "TableHandle": "views",
    "View": "views",
    "discover": "discovery",
    "examine": "doctor",
    "find_root": "settings",
    "open_project": "project",
    "read_settings": "settings",
    "scaffold": "scaffolding",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"headgate.project.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'headgate.project' has no attribute {name!r}")
