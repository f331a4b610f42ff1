"""Lets the manual have documents at the paths where they lie in the repository."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_DOCUMENTS = (
    "README.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "bench/README.md",
    "bench/results/kodak/*.png",
    "bench/results/kodak/*.webp",
    "docs/*.js",
    "docs/*.md",
    "docs/*.png",
    "format/SPEC.md",
    "format/vectors/README.md",
    "fuzz/README.md",
    "nightly/README.md",
    "train/*.png",
    "train/README.md",
    "train/paper/*.webp",
    "web/README.md",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the documents instead of what lies in docs/, so that links between them hold."""
    for file in [*files.documentation_pages(), *files.javascript_files()]:
        if file.src_uri.count("/") == 0:
            files.remove(file)
    root = Path(config.config_file_path).parent
    for pattern in _DOCUMENTS:
        for path in sorted(root.glob(pattern)):
            uri = path.relative_to(root).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files
