"""EC2's actions, one file a subject. `ACTIONS` is all that the server knows of them."""

from . import addresses, attachments, instances, interfaces, places, tags
from .registry import ACTIONS, ActionSpec, Request

__all__ = [
    "ACTIONS",
    "ActionSpec",
    "Request",
    "addresses",
    "attachments",
    "instances",
    "interfaces",
    "places",
    "tags",
]
