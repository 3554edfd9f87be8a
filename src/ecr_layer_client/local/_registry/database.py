"""The repositories of one Region in a data directory: the SQLite file `registry.db`.

Everything is read once, when the directory is opened. Each change is one transaction, whose cost
does not depend on what is stored. Uploads in progress are not recorded.

A write-ahead log with synchronous=NORMAL gives each commit to the system, so that it outlives this
process, whatever ends the process. A machine that loses power may lose the last commits, but not
the file.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from ecr_layer_client._text.validation_errors import first_problem

from .directory_lock import DirectoryLock
from .errors import invalid_parameter
from .state import Revision, StoredImage, StoredLayer, StoredRepository

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from .directory import Directory

NAME = "registry.db"
# SQLite adds these files.
BESIDE = (f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-journal")

APPLICATION_ID = 0x0ECE_C001  # marks the file as one of a local ECR
FORMAT = 2  # changes with the tables and with what is in them

# Each mapping of a repository is a table, whose values are JSON.
_CONTENTS: Final[dict[str, TypeAdapter[Any]]] = {
    "layers": TypeAdapter(StoredLayer),
    "images": TypeAdapter(StoredImage),
    "tags": TypeAdapter(str),
    "resource_tags": TypeAdapter(str),
    "policies": TypeAdapter(str),
}
_TABLE = """
CREATE TABLE {} (
    repository INTEGER, key TEXT, value TEXT, PRIMARY KEY (repository, key)
) WITHOUT ROWID
"""


class Description(BaseModel, frozen=True, extra="forbid", alias_generator=to_camel):
    """The description of a repository, as CreateRepository returns it."""

    repository_arn: str
    registry_id: str
    repository_name: str
    repository_uri: str
    created_at: Annotated[float, Field(allow_inf_nan=False)]
    image_tag_mutability: Literal[
        "MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"
    ]  # ECR model
    image_tag_mutability_exclusion_filters: (
        list[dict[Literal["filterType", "filter"], str]] | None
    ) = None
    image_scanning_configuration: dict[Literal["scanOnPush"], bool]
    encryption_configuration: dict[Literal["encryptionType", "kmsKey"], str]


class Database:
    """The database of one Region. The directory is locked while it is open.

    Its methods are not called at the same time, but may be called in several threads.
    """

    def __init__(self, directory: Path) -> None:
        """Use this directory. `open()` creates it."""
        self._path: Final = directory / NAME
        self._lock: Final = DirectoryLock(directory)
        self._close: weakref.finalize[[], Database] | None = None

    @property
    def is_open(self) -> bool:
        """Whether this process has it open."""
        return self._lock.is_held

    def open(self) -> Directory:
        """Lock the directory, open the database, and return the directory.

        Raises OSError when the directory cannot be used, or when another holder has the lock, and
        ValueError for a file that is not a database of this version.
        """
        directory = self._lock.take()
        try:
            self._connect(directory)
        except OSError as error:
            self.close()
            raise self._lock.unusable(error) from error
        except BaseException:
            self.close()
            raise
        return directory

    def close(self) -> None:
        """Close the database and unlock the directory. Safe to call twice."""
        if self._close is not None:
            self._close()
        self._close = None
        self._lock.release()

    def load(self) -> list[StoredRepository]:
        """Return the repositories. Raises ValueError that names the file, if it is damaged."""
        with self._readable():
            revisions: dict[int, Revision] = {}
            for row_id, text in self._connection.execute("SELECT * FROM repositories"):
                members = Description.model_validate_json(text, by_alias=True)
                description = members.model_dump(by_alias=True, exclude_unset=True)
                revisions[row_id] = Revision(StoredRepository(description, row_id=row_id))

            for table, adapter in _CONTENTS.items():
                # The names of the tables are in this module.
                rows = self._connection.execute(f"SELECT * FROM {table}")  # noqa: S608
                for row_id, key, value in rows:
                    if row_id not in revisions:
                        what = f"the table {table} names a repository that is not there"
                        raise ValueError(what)
                    revisions[row_id].pending[table][key] = adapter.validate_json(value)
            return [revision.apply() for revision in revisions.values()]

    def account_settings(self) -> dict[str, str]:
        """Return the account settings. Raises ValueError that names the file, if it is damaged."""
        with self._readable():
            return dict(self._connection.execute("SELECT name, value FROM account_settings"))

    def put_account_setting(self, name: str, value: str) -> None:
        """Set an account setting.

        As the other changes, this raises OSError when it cannot be saved, and AwsError for text
        that UTF-8 cannot represent.
        """
        with self._transaction():
            self._connection.execute("REPLACE INTO account_settings VALUES (?, ?)", (name, value))

    def create(self, repository: StoredRepository) -> None:
        """Add a repository with its resource tags."""
        with self._transaction():
            added = self._connection.execute(
                "INSERT INTO repositories (description) VALUES (?)", (_text_of(repository),)
            )
            row_id = added.lastrowid or 0
            self._put("resource_tags", row_id, repository.resource_tags)
        repository.row_id = row_id

    def save(self, revision: Revision) -> None:
        """Save the changes of a repository, if any."""
        changed = {table: pending.changed for table, pending in revision.pending.items()}
        if not any(changed.values()):
            return

        with self._transaction():
            if changed["description"]:
                self._connection.execute(
                    "UPDATE repositories SET description = ? WHERE id = ?",
                    (_text_of(revision), revision.row_id),
                )
            for table in _CONTENTS:
                self._put(table, revision.row_id, changed[table])

    def _put(self, table: str, row_id: int, values: Mapping[str, Any]) -> None:
        """Save the values of a repository in a table. None stands for what is deleted."""
        put = f"REPLACE INTO {table} VALUES (?, ?, ?)"  # noqa: S608  (a name of this module)
        remove = f"DELETE FROM {table} WHERE repository = ? AND key = ?"  # noqa: S608
        for key, value in values.items():
            if value is None:
                self._connection.execute(remove, (row_id, key))
            else:
                text = _CONTENTS[table].dump_json(value).decode()
                self._connection.execute(put, (row_id, key, text))

    def delete(self, repository: StoredRepository) -> None:
        """Delete a repository with its contents."""
        row = (repository.row_id,)
        with self._transaction():
            for table in _CONTENTS:
                self._connection.execute(f"DELETE FROM {table} WHERE repository = ?", row)  # noqa: S608
            self._connection.execute("DELETE FROM repositories WHERE id = ?", row)

    def _connect(self, directory: Directory) -> None:
        for name in BESIDE:
            directory.check_own(name)
        # SQLite opens a path. What it opened must be what was no link.
        descriptor = directory.open_own(NAME)
        status = os.fstat(descriptor)
        os.close(descriptor)

        with self._readable():
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._close = weakref.finalize(self, connection.close)
            self._connection = connection
            if not directory.has(NAME, status):
                raise directory.is_a_link(NAME)
            self._check_format()
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

    def _check_format(self) -> None:
        """Create the tables in a new file. Raises ValueError for a file of another format."""
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application, version) != (APPLICATION_ID, FORMAT):
            what = (
                f"its format is {version} and this version reads {FORMAT}"
                if application == APPLICATION_ID
                else "another program wrote it"
            )
            raise ValueError(what)
        if tables:
            return

        with self._transaction():
            repositories = "CREATE TABLE repositories (id INTEGER PRIMARY KEY, description TEXT)"
            settings = "CREATE TABLE account_settings (name TEXT PRIMARY KEY, value TEXT)"
            for statement in (repositories, settings, *map(_TABLE.format, _CONTENTS)):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {FORMAT}")

    @contextmanager
    def _transaction(self) -> Generator[None]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise
        except sqlite3.Error as error:
            raise OSError(str(error)) from error
        except ValueError:
            # JSON can escape a lone surrogate, which is in no text of Unicode.
            where = "request"
            raise invalid_parameter(where, "must not contain a lone surrogate") from None

    @contextmanager
    def _readable(self) -> Generator[None]:
        """Raise ValueError that names the file for whatever is wrong with its contents."""
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            message = (
                f"{self._path} is not the database of a local ECR of this version: "
                f"{_in_one_line(error)}. Use another directory, or delete that file to start empty"
            )
            raise ValueError(message) from None


def _text_of(repository: StoredRepository) -> str:
    description = Description(**repository.description)
    return description.model_dump_json(by_alias=True, exclude_unset=True)


def _in_one_line(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    problem = first_problem(error)
    return f"{problem.where or 'it'}: {problem.message}"
