"""Stores: where a node keeps what it promised.

`SqliteStore` keeps it on disk, `MemoryStore` in memory; `errors` says what can go wrong.
"""

from rafty_transports.storage.errors import (
    CorruptStore,
    DataDirectoryInUse,
    DataDirectoryUnusable,
    LostWrites,
    StoreClosed,
    StoreError,
    UnknownFormat,
    WriteFailed,
    WriteRefused,
    WrongDataDirectory,
)
from rafty_transports.storage.memory import MemoryStore
from rafty_transports.storage.sqlite import SqliteStore

__all__ = [
    "CorruptStore",
    "DataDirectoryInUse",
    "DataDirectoryUnusable",
    "LostWrites",
    "MemoryStore",
    "SqliteStore",
    "StoreClosed",
    "StoreError",
    "UnknownFormat",
    "WriteFailed",
    "WriteRefused",
    "WrongDataDirectory",
]
