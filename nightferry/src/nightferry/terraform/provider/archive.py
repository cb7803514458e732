"""``archive_file`` of hashicorp/archive: a ZIP file with the same bytes for the same content."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

from nightferry.terraform.provider.schema import as_items

_DATE = (2049, 1, 1, 0, 0, 0)  # the provider's date of each entry, so that equal content gives equal bytes


def write(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the archive and return its computed attributes. Relative paths start at ``folder``."""
    path = folder / config["output_path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(_entries(config, folder).items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = int(config.get("output_file_mode") or "0644", 8) << 16
            archive.writestr(entry, content)
    data = path.read_bytes()
    sha256 = hashlib.sha256(data)
    sha512 = hashlib.sha512(data)
    sha1 = hashlib.sha1(data, usedforsecurity=False)
    return {
        "id": sha1.hexdigest(),
        "output_sha": sha1.hexdigest(),
        "output_md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "output_sha256": sha256.hexdigest(),
        "output_sha512": sha512.hexdigest(),
        "output_base64sha256": base64.b64encode(sha256.digest()).decode(),
        "output_base64sha512": base64.b64encode(sha512.digest()).decode(),
        "output_size": len(data),
    }


def _entries(config: dict[str, Any], folder: Path) -> dict[str, bytes]:
    if config.get("source_file"):
        source = folder / config["source_file"]
        return {source.name: source.read_bytes()}
    if config.get("source_dir"):
        root = folder / config["source_dir"]
        return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    if config.get("source_content") is not None:
        return {config["source_content_filename"]: config["source_content"].encode()}
    return {block["filename"]: block["content"].encode() for block in as_items(config.get("source"))}
