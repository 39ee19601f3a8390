"""The decoy site of a node: a folder of the operator's, or the small default one."""

import hashlib
import mimetypes
from pathlib import Path
from typing import Final

from node.errors import NodeConfigError
from node.htx.site import Page, Site, StaticSite, default_site

DecoySite = Site
MAX_FILE_BYTES: Final = 8 << 20
MAX_SITE_BYTES: Final = 64 << 20
MAX_FILES: Final = 4096


def load_site(folder: Path | None, otherwise: DecoySite | None = None) -> DecoySite:
    """Read a static site into memory.

    Args:
        folder: The operator's; None gives the other site.
        otherwise: Shown where there is no folder; the small default site where it is None.

    Raises:
        NodeConfigError: no such folder, no index.html in it, or it is too large.
    """
    if folder is None:
        return otherwise or default_site()
    if not (folder / "index.html").is_file():
        raise NodeConfigError(f"no index.html in {folder}")
    pages: dict[str, Page] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        size = path.stat().st_size
        total += size
        if size > MAX_FILE_BYTES or total > MAX_SITE_BYTES or len(pages) >= MAX_FILES:
            raise NodeConfigError(
                f"the decoy site is too large at {path}",
                why=f"limits: {MAX_FILES} files, {MAX_FILE_BYTES} bytes each, {MAX_SITE_BYTES} all",
            )
        body = path.read_bytes()
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        pages["/" + path.relative_to(folder).as_posix()] = Page(kind, body, etag)
    return StaticSite(pages)
