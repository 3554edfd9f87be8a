"""Nothing in a data directory is opened through a link."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")

REGION = "us-east-1"
FILES = ["lock", *(f"registry.db{suffix}" for suffix in ("", "-wal", "-shm", "-journal"))]
DIRECTORIES = [".", "blobs", "incoming"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_no_file_is_changed_through_a_link(name: str, kind: str, tmp_path: Path) -> None:
    """A link in place of a file that is changed is refused by name, and its target is unchanged."""
    target = tmp_path / "target"
    target.write_text("a file of the user")
    place = tmp_path / "data" / REGION / name
    place.parent.mkdir(parents=True)
    (place.symlink_to if kind == "symbolic" else place.hardlink_to)(target)

    with pytest.raises(OSError, match="it is a link, and the local ECR follows no") as caught:
        LocalECR(data=tmp_path / "data")
    assert (str(place) in str(caught.value), target.read_text()) == (True, "a file of the user")


@pytest.mark.parametrize("name", DIRECTORIES)
def test_no_directory_is_used_through_a_link(name: str, tmp_path: Path) -> None:
    """A link in place of a directory is refused by name, and its target stays empty."""
    target = tmp_path / "target"
    target.mkdir()
    place = tmp_path / "data" / REGION / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)

    with pytest.raises(OSError, match="it is a link") as caught:
        LocalECR(data=tmp_path / "data")
    assert (str(place) in str(caught.value), list(target.iterdir())) == (True, [])


def test_no_layer_is_read_through_a_link(tmp_path: Path) -> None:
    """A blob that was replaced by a link has no bytes."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    ecr = LocalECR(data=tmp_path / "data")
    digest = ecr.put_layer("app", b"a layer")
    (blob,) = tmp_path.rglob(digest.removeprefix("sha256:"))
    blob.unlink()
    blob.symlink_to(secret)

    assert ecr._registry.store.get(digest) is None


def test_the_given_path_may_be_a_link(tmp_path: Path) -> None:
    """The path that the user gives may be a link to a directory."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    digest = LocalECR(data=tmp_path / "data").put_layer("app", b"a layer")

    assert LocalECR(data=tmp_path / "disk")._registry.store.get(digest) is not None


@pytest.mark.parametrize("name", ["blobs", "incoming"])
def test_a_directory_cannot_be_replaced_by_a_link(name: str, tmp_path: Path) -> None:
    """A link that replaces a directory while it is in use receives nothing."""
    ecr = LocalECR(data=tmp_path / "data")
    place, target = tmp_path / "data" / REGION / name, tmp_path / "target"
    target.mkdir()
    place.rename(tmp_path / "moved")
    place.symlink_to(target)
    ecr.put_layer("app", b"a layer")

    assert list(target.iterdir()) == []
