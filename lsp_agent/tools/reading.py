"""Reading a file for the model: what is there, what the session has seen of it, and what may have been meant.

"Seen" is the hash of the whole text, so it does not matter whether the text came from the disk or from an editor, or
when it changed (CORE 0.10).
"""

import difflib
import os
from pathlib import Path

from lsp_agent.domain.errors import FileUnreadable, ToolError
from lsp_agent.ports.store import RecordRead
from lsp_agent.ports.tools import ToolContext
from lsp_agent.ports.workspace import Place, TextFile

MAX_FILE_BYTES = 50 * 1024 * 1024
"""Largest text file a tool opens; a section of it may be small all the same."""
_MAX_NEIGHBOURS = 2_000


def exists(context: ToolContext, place: Place) -> bool:
    """True for anything on disk (a broken link too) and for a document that is open but not saved yet."""
    return os.path.lexists(place.path) or any(
        document.path == place.path for document in context.workspace.open_documents_below(place.path)
    )


async def read_file(context: ToolContext, place: Place) -> TextFile:
    """The overlay's text. Raises: ToolError in words a model can act on."""
    try:
        return await context.workspace.read_text(place, max_bytes=MAX_FILE_BYTES)
    except FileUnreadable as error:
        if place.path.is_dir():
            raise ToolError(f"{place.shown} is a directory, not a file. Use ls to see what is in it.") from error
        if not exists(context, place):
            raise ToolError(missing_file_text(context, place)) from error
        raise ToolError(f"{place.shown} cannot be read: {error.reason}.") from error


async def read_seen_file(context: ToolContext, place: Place) -> TextFile:
    """The text, when it is exactly the text the session last saw. Raises: ToolError otherwise.

    The record is looked up first: a file nobody was allowed to read is not even opened.
    """
    seen = await context.store.seen_file(context.session_id, str(place.path))
    if seen is None and place.path.is_dir():
        raise ToolError(f"{place.shown} is a directory, not a file.")
    if seen is None:
        raise ToolError(f"You must view {place.shown} before you change it.")
    file = await read_file(context, place)
    if file.content_hash != seen.content_hash:
        raise ToolError(f"{place.shown} has changed since you last read it. View it again, then make the change.")
    return file


def record_read(context: ToolContext, file: TextFile) -> None:
    """Remember that the session has seen this text. Never waits."""
    _ = context.store.write([read_record(context, file)])


def read_record(context: ToolContext, file: TextFile) -> RecordRead:
    """The write that says the session has seen this text."""
    return RecordRead(context.session_id, str(file.path), file.content_hash, file.version, context.clock.now_ms())


def missing_file_text(context: ToolContext, place: Place) -> str:
    """ "Not found", with up to three names that are like it."""
    names = _similar_names(context, place)
    if not names:
        return f"{place.shown} was not found."
    shown = "\n".join([f"- {(Path(place.shown).parent / name).as_posix()}" for name in names])
    return f"{place.shown} was not found. Did you mean one of these?\n{shown}"


def _similar_names(context: ToolContext, place: Place) -> list[str]:
    wanted, parent = place.path.name.casefold(), place.path.parent
    names: dict[str, str] = {}
    try:
        with os.scandir(parent) as entries:
            for _, entry in zip(range(_MAX_NEIGHBOURS), entries, strict=False):
                names[entry.name.casefold()] = entry.name
    except OSError:
        names.clear()  # the directory is missing too, or may not be listed: then there is nothing to suggest
    for document in context.workspace.open_documents_below(parent):
        if document.path is not None and document.path.parent == parent:
            names[document.path.name.casefold()] = document.path.name
    close = difflib.get_close_matches(wanted, sorted(names), n=3, cutoff=0.6)
    stem = Path(wanted).stem
    close += [
        name for name in sorted(names) if name not in close and stem and (stem in name or Path(name).stem in wanted)
    ]
    return [names[name] for name in close[:3]]
