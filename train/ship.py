"""Put a trained model into the package.

    python train/ship.py runs/photo.safetensors [--default]

Copies the file beside the manifest and appends its entry, or puts it first, where the
default model is. A name that is in the manifest is refused: names are never given to
other weights.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from vqcodec.registry.store import read_file, read_metadata
from vqcodec.storage import write_whole

REGISTRY = Path(__file__).parent.parent / "vqcodec" / "registry"


def main(model: str, option: str = "") -> None:
    """Ship one model; with the option --default as the default one."""
    path = Path(model)
    data, metadata = read_file(path), read_metadata(path)
    name = str(metadata["name"])
    manifest = REGISTRY / "manifest.toml"
    text = manifest.read_text(encoding="utf-8") if manifest.exists() else ""
    if f'name = "{name}"' in text:
        sys.exit(f"{name} is shipped already")
    entry = {
        "name": name,
        "file": f"{name}.safetensors",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "architecture": metadata["architecture"],
        "licence": metadata["licence"],
        "description": metadata["description"],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    target = REGISTRY / "weights" / str(entry["file"])
    write_whole(target, data, overwrite=False)
    made = "\n[[model]]\n" + "\n".join(lines) + "\n"
    head, *others = text.partition("\n[[model]]\n")
    text = head + made + "".join(others) if option == "--default" else text + made
    write_whole(manifest, text.encode(), overwrite=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
