"""Fixtures for the tests of other people's programs, without the user's own AWS configuration."""

from local.conftest import _no_aws_settings

__all__ = ["_no_aws_settings"]
