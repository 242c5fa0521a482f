"""Stores: where a node keeps what it promised.

`SqliteStore` keeps it on disk, `MemoryStore` in memory; `errors` says what can go wrong. Snapshots lie beside the log
(`snapshot_files`), in a format that proves itself (`snapshot_format`). `rebirth` makes a new cluster of what is left.
"""

from rafty_transports.storage.errors import (
    CorruptStore,
    DamagedSnapshot,
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
    "DamagedSnapshot",
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
