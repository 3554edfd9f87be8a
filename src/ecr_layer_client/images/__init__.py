"""Images as people have them: a manifest, an OCI layout, an archive, or a tag in a repository."""

from ._descriptor import Descriptor, Platform
from ._listing import ImageSummary
from ._manifest import ImageIndex, ImageManifest, parse_manifest
from ._plan import PushPlan, plan
from ._report import ImageReport
from ._source import ImageSource

__all__ = [
    "Descriptor",
    "ImageIndex",
    "ImageManifest",
    "ImageReport",
    "ImageSource",
    "ImageSummary",
    "Platform",
    "PushPlan",
    "parse_manifest",
    "plan",
]
