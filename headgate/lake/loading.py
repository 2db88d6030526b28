"""The lock under which heavy libraries are imported where they are first needed."""

from threading import RLock

LOADING = RLock()
"""Held while the heavy files are imported: PyIceberg imports itself in circles, and two threads
that enter such a circle at different places both find modules that are half made."""
