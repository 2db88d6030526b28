"""Access: who knows the values of secrets, and how they are asked.

Names load when they are first touched.
"""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.access.directories import DirectorySecrets as DirectorySecrets
    from headgate.access.environment import EnvironmentSecrets as EnvironmentSecrets
    from headgate.access.environment_files import EnvironmentFileSecrets as EnvironmentFileSecrets
    from headgate.access.keyrings import KeyringSecrets as KeyringSecrets
    from headgate.access.provider import Place as Place
    from headgate.access.provider import SecretProvider as SecretProvider
    from headgate.access.revealing import Revealer as Revealer

_FILES = {
    "directories": ("DirectorySecrets",),
    "environment": ("EnvironmentSecrets",),
    "environment_files": ("EnvironmentFileSecrets",),
    "keyrings": ("KeyringSecrets",),
    "provider": ("Place", "SecretProvider"),
    "revealing": ("Revealer",),
}

__getattr__, __dir__, __all__ = door(__name__, _FILES)
