"""The architect: reads settings, finds the user's declarations, wires the rooms into a Project."""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.project.addresses import sink_address as sink_address
    from headgate.project.addresses import source_address as source_address
    from headgate.project.copies import list_backups as list_backups
    from headgate.project.copies import restore_lake as restore_lake
    from headgate.project.copying import CopyManner as CopyManner
    from headgate.project.copying import copy_rows as copy_rows
    from headgate.project.copying import settings_without_project as settings_without_project
    from headgate.project.deliveries import SinkDetails as SinkDetails
    from headgate.project.discovery import Discovery as Discovery
    from headgate.project.discovery import discover as discover
    from headgate.project.doctor import examine as examine
    from headgate.project.findings import Finding as Finding
    from headgate.project.listed_connections import Connection as Connection
    from headgate.project.listed_connections import NamedSecret as NamedSecret
    from headgate.project.project import Project as Project
    from headgate.project.project import open_project as open_project
    from headgate.project.reached_connections import Reached as Reached
    from headgate.project.reading_settings import read_settings as read_settings
    from headgate.project.scaffolding import scaffold as scaffold
    from headgate.project.setting_keys import KEYS as KEYS
    from headgate.project.settings import Settings as Settings
    from headgate.project.settings_file import find_root as find_root
    from headgate.project.source_statuses import SourceStatus as SourceStatus
    from headgate.project.spans import span as span
    from headgate.project.views import TableHandle as TableHandle
    from headgate.project.views import View as View

_FILES = {
    "addresses": (
        "sink_address",
        "source_address",
    ),
    "copies": (
        "list_backups",
        "restore_lake",
    ),
    "copying": (
        "CopyManner",
        "copy_rows",
        "settings_without_project",
    ),
    "deliveries": ("SinkDetails",),
    "discovery": (
        "Discovery",
        "discover",
    ),
    "doctor": ("examine",),
    "findings": ("Finding",),
    "listed_connections": (
        "Connection",
        "NamedSecret",
    ),
    "project": (
        "Project",
        "open_project",
    ),
    "reached_connections": ("Reached",),
    "reading_settings": ("read_settings",),
    "scaffolding": ("scaffold",),
    "setting_keys": ("KEYS",),
    "settings": ("Settings",),
    "settings_file": ("find_root",),
    "source_statuses": ("SourceStatus",),
    "spans": ("span",),
    "views": (
        "TableHandle",
        "View",
    ),
}

__getattr__, __dir__, __all__ = door(__name__, _FILES)
