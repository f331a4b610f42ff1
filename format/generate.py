"""Write the conformance vectors.

    python format/generate.py [FOLDER]

makes the folders `models`, `valid`, `limits`, `faulty` and `streams` of FOLDER (`vectors`) anew,
each file byte for byte as before unless the programs in `cases` or SPEC.md have changed.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import reference
import reference_picture
from cases import (
    clips,
    exact,
    faulty_chunks,
    faulty_headers,
    faulty_models,
    faulty_streams,
    limits,
    limits_of_models,
    literal,
    models,
    sound,
    speakers,
    streams,
    two_stage,
    valid,
)
from cases.build import Case, png

HERE = Path(__file__).resolve().parent
SPEC = (HERE / "SPEC.md").read_text(encoding="utf-8")
MODELS = {
    model.name: model
    for model in (
        models.PAPER,
        models.PHOTO,
        models.TINY_PHOTO,
        *exact.MODELS,
        models.VOICE,
        *speakers.MODELS,
        *two_stage.MODELS,
        *clips.MODELS,
        *streams.MODELS,
        *limits_of_models.MODELS,
        *faulty_models.MODELS,
    )
}
GROUPS = {
    "valid": (
        valid.cases,
        exact.valid,
        literal.valid,
        sound.valid,
        speakers.valid,
        two_stage.valid,
        clips.valid,
    ),
    "limits": (
        limits.cases,
        limits_of_models.cases,
        exact.limits,
        literal.limits,
        sound.limits,
        speakers.limits,
        two_stage.limits,
        clips.limits,
    ),
    "faulty": (
        faulty_headers.cases,
        faulty_chunks.cases,
        faulty_streams.cases,
        faulty_models.cases,
        exact.faulty,
        literal.faulty,
        streams.faulty,
        sound.faulty,
        speakers.faulty,
        two_stage.faulty,
        clips.faulty,
    ),
    "streams": (streams.cases,),
}


def main(folder: Path) -> None:
    for group in ("models", *GROUPS):
        shutil.rmtree(folder / group, ignore_errors=True)
        (folder / group).mkdir(parents=True)
    used = set()
    for group, programs in GROUPS.items():
        for case in (case for program in programs for case in program()):
            path = folder / group / f"{case.name}.{'stream' if case.columns else 'vqc'}"
            if path.exists():
                raise ValueError(f"{case.name} comes twice")
            path.write_bytes(case.data)
            path.with_suffix(".toml").write_text(description(case, path), encoding="utf-8")
            used.add(case.model)
    for name in sorted(used):
        (folder / "models" / f"{name}.safetensors").write_bytes(MODELS[name].data)


def description(case: Case, path: Path) -> str:
    """The TOML beside a case; writes the picture that its pixels are compared with, too."""
    lines: dict[str, Any] = {
        "tests": case.tests,
        "section": section_of(case.rule),
        "rule": case.rule,
        "model": f"{case.model}.safetensors",
        "expect": case.expect,
    }
    if case.columns:
        lines |= {"quality": case.quality, "columns": case.columns}
    if case.indices is not None:
        lines["grid"] = list(case.indices.shape)
        lines["indices_sha256"] = reference.indices_sha256(case.indices)
        if case.pixels:
            file = reference.parse(case.data)
            network = reference_picture.load(MODELS[case.model].data)
            samples = reference_picture.pixels(case.indices, file, network)
            if isinstance(network, reference_picture.Photo2):
                lines["pixels_sha256"] = hashlib.sha256(samples.tobytes()).hexdigest()
                return written(case, lines)
            path.with_suffix(".png").write_bytes(png(samples))
            lines["pixels"] = f"{case.name}.png"
            lines["pixels_differ_by"] = 0 if file["mode"] == 2 else 1
    return written(case, lines)


def written(case: Case, lines: dict[str, Any]) -> str:
    """TOML of these lines and of what the chunks hold."""
    # JSON's texts, whole numbers and lists are TOML's too.
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())
    if case.unpacked:
        text += "\n[chunks_sha256]\n"
    for kind, data in case.unpacked.items():
        text += f'{kind} = "{hashlib.sha256(data).hexdigest()}"\n'
    return text


def section_of(rule: str) -> int:
    """The number of SPEC.md's section that has these words."""
    for number, section in enumerate(SPEC.split("\n## ")):
        if " ".join(rule.split()) in " ".join(section.split()):
            return number
    raise ValueError(f"SPEC.md does not say: {rule}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "vectors")
