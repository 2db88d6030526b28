"""Stores: how bytes get to and from object storage, for every room that meets an ``s3://`` URL.

Names load when they are first touched: a lake on a local disk never loads obstore.
"""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.stores.bucket import Bucket as Bucket
    from headgate.stores.credentials import found_credentials as found_credentials
    from headgate.stores.failures import STORE_CODES as STORE_CODES
    from headgate.stores.failures import failed as failed
    from headgate.stores.opening import open_bucket as open_bucket
    from headgate.stores.options import Address as Address
    from headgate.stores.options import Credentials as Credentials
    from headgate.stores.options import StoreOptions as StoreOptions
    from headgate.stores.options import is_address as is_address
    from headgate.stores.options import parse_address as parse_address
    from headgate.stores.reading import ObjectReader as ObjectReader
    from headgate.stores.remote import RemoteBucket as RemoteBucket
    from headgate.stores.remote import RemoteObject as RemoteObject
    from headgate.stores.remote_options import REMOTE_OPTIONS as REMOTE_OPTIONS
    from headgate.stores.remote_options import remote_config as remote_config
    from headgate.stores.stored import Stored as Stored
    from headgate.stores.uploads import Upload as Upload

_FILES = {
    "bucket": ("Bucket",),
    "credentials": ("found_credentials",),
    "failures": ("STORE_CODES", "failed"),
    "opening": ("open_bucket",),
    "options": ("Address", "Credentials", "StoreOptions", "is_address", "parse_address"),
    "reading": ("ObjectReader",),
    "remote": ("RemoteBucket", "RemoteObject"),
    "remote_options": ("REMOTE_OPTIONS", "remote_config"),
    "stored": ("Stored",),
    "uploads": ("Upload",),
}

__getattr__, __dir__, __all__ = door(__name__, _FILES)
