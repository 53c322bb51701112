"""The last spec on disk, so that after a reboot links come up before, or without, an API server."""

import json
import logging
import os

from nodeeni.agent.spec import JSON, NodeSpec, read_spec

log = logging.getLogger(__name__)


def load_spec(path: str) -> NodeSpec | None:
    """None if there is none, or none that can be understood."""
    try:
        with open(path, encoding="utf-8") as file:
            return read_spec(json.load(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, TypeError) as error:
        log.warning("the spec kept on disk cannot be read", extra={"path": path, "error": str(error)})
        return None


def keep_spec(path: str, eninode: JSON | None) -> None:
    """Whole or not at all. A disk that refuses is logged: the agent does its work without."""
    metadata = (eninode or {}).get("metadata") or {}
    kept = {"metadata": {"generation": metadata.get("generation")}, "spec": (eninode or {}).get("spec") or {}}
    try:
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.new", path)
    except OSError as error:
        log.warning("the spec cannot be kept on disk", extra={"path": path, "error": str(error)})
