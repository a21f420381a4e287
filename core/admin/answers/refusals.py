"""Why something was not done."""

from trunkline.core.admin.answers.base import Answer
from trunkline.core.admin.answers.process import Problem


class Refused(Answer):
    """A configuration that cannot be used; nothing has changed."""

    errors: list[Problem]
    """Everything that is wrong."""


class Failure(Answer):
    """Why not."""

    detail: str
    """For people."""


class UpgradeRefused(Failure):
    """A new process that could not take over; the old one serves on."""

    errors: list[Problem]
    """If it found the configuration unsound: everything that is wrong."""


class Unauthorized(Answer):
    """Who asks has not shown the token."""

    error: str
    """What is needed."""
