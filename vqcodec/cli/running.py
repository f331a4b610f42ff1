"""How commands plan and run jobs, and what they tell of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from vqcodec.batch.found import Look, look_at_vqc
from vqcodec.batch.job import (
    EXPECTED,
    STREAM,
    Failure,
    Job,
    Outcome,
    Work,
    compared,
    is_stream,
    no_bar,
)
from vqcodec.batch.listing import describe_left_out
from vqcodec.batch.plan import Existing, Outputs, Plan, SuffixOf, for_removal, plan
from vqcodec.batch.run import processes_that_pay, run
from vqcodec.cli.media import check_options
from vqcodec.cli.options import Compute, Running
from vqcodec.cli.process import within_granted
from vqcodec.cli.progress import bar, file_bar
from vqcodec.cli.terminal import echo, report, report_failure, warn, warnings_shown
from vqcodec.counting import counted
from vqcodec.media.jobs import Compression, Decompression

EXIT_SALVAGED = 3


def run_all(
    inputs: Sequence[str],
    outputs: Outputs,
    work: Compression | Decompression,
    running: Running,
    compute: Compute,
    *,
    suffix_of: SuffixOf,
    is_input: Callable[[Path], bool],
    advice: Mapping[str, str],
    look: Look = look_at_vqc,
    removes_sources: bool = False,
    folders_are_files: bool = False,
    warnings: Sequence[str] = (),
    help_with: Callable[[Job, Failure], str] = lambda *_: "",
) -> int:
    """Plan the work on all inputs, do it, and tell what came of it; return the exit code.

    `warnings` are about all results, and told before the first. `help_with` tells what can be done
    about a failure that says nothing of that itself.
    """
    planned = plan(
        inputs,
        outputs,
        suffix_of=suffix_of,
        is_input=is_input,
        look=look,
        folders_are_files=folders_are_files,
    )
    if removes_sources:
        planned = for_removal(planned)
    jobs = planned.jobs
    named = folders_are_files or not any(Path(text).is_dir() for text in inputs)
    sources = [job.source for job in (*jobs, *planned.done)]
    check_options(sources, work.medium, named=named)
    for note in planned.notes:
        echo(f"vqcodec: {note}", err=True)
    for failure in planned.failures:
        report_failure(failure)
    _tell_done(planned, outputs.existing, running.dry_run)
    threads = within_granted(compute.threads)
    is_piped = any(job.target == STREAM for job in jobs)
    outcomes: list[Outcome] = []
    with file_bar(len(jobs)) as advance:
        if running.dry_run:
            found = _foresee(jobs, work)
        else:
            found = _run(jobs, work, running.jobs, threads, compute.device)
        # Jobs warn in their outcomes, and what comes before them is of models.
        with warnings_shown("models"), closing(found):
            for outcome in found:
                if outcome.failure is None:
                    for warning in warnings:
                        echo(f"vqcodec: warning: {warning}", err=True)
                    warnings = ()
                _tell(outcome, is_piped, help_with)
                outcomes.append(outcome)
                advance()
    if left_out := describe_left_out(planned.left_out, advice):
        echo(f"vqcodec: {left_out}", err=True)
    if len(jobs) > 1 and not running.dry_run:
        for line in _summary(outcomes):
            echo(line, err=is_piped)
    failures = [*planned.failures, *(o.failure for o in outcomes if o.failure is not None)]
    code = max((failure.code for failure in failures), default=0)
    if not running.dry_run and any(outcome.kept for outcome in outcomes):
        code = max(code, 1)
    return code or (EXIT_SALVAGED if any(outcome.salvaged for outcome in outcomes) else 0)


def _run(
    jobs: Sequence[Job], work: Work, count: int | None, threads: int | None, device: str
) -> Generator[Outcome, None, None]:
    if not jobs:
        return
    if len(jobs) == 1 or any(job.target == STREAM or is_stream(job.source) for job in jobs):
        count = 1  # streams are this process's
    if count is None:
        count = min(processes_that_pay(jobs, work), threads or len(jobs))
        if count > 1 and _computes_elsewhere(device):
            count = 1
    yield from run(jobs, work, count=count, threads=threads, bar=bar if len(jobs) == 1 else no_bar)


def _computes_elsewhere(device: str) -> bool:
    """Tell whether the networks run on a device that several processes would only share."""
    from vqcodec.engines.devices import pick_device

    return pick_device(device) != "cpu"


def _foresee(jobs: Sequence[Job], work: Work) -> Generator[Outcome, None, None]:
    for job in jobs:
        try:
            yield work.foresee(job)
        except EXPECTED as error:
            yield Outcome(job=job, failure=Failure.of(error))


def _tell_done(planned: Plan, existing: Existing, each: bool) -> None:
    done = len(planned.done)
    total = done + len(planned.jobs)
    if each:
        for job in planned.done:
            echo(f"{job.source}: {job.target} exists")
    if done and existing is Existing.SKIP:
        echo(f"vqcodec: {done} of {total} skipped: their results exist", err=True)
    elif done:
        echo(
            f"vqcodec: {done} of {total} results exist and were left as they are",
            err=True,
        )


def _tell(outcome: Outcome, is_piped: bool, help_with: Callable[[Job, Failure], str]) -> None:
    source = outcome.job.source
    for note in outcome.notes:
        warn("models", note)
    if outcome.failure is None:  # or there is no result that they could be about
        for warning in outcome.warnings:
            warn(source, warning)
    if outcome.line:
        echo(outcome.line, err=is_piped)
    if outcome.kept:
        report(f"{source}: kept: {', '.join(outcome.kept)}")
    if (failure := outcome.failure) is not None:
        report_failure(
            replace(failure, hint=failure.hint or help_with(outcome.job, failure)), source
        )


def _summary(outcomes: Sequence[Outcome]) -> Iterator[str]:
    done = [outcome for outcome in outcomes if outcome.failure is None]
    before, after = sum(o.before for o in done), sum(o.after for o in done)
    line = f"{len(done)} of {len(outcomes)} files done"
    if len(done) < len(outcomes):
        line += f", {len(outcomes) - len(done)} failed"
    if before and after:
        line += f": {before} -> {after} bytes, {compared(before, after)}"
    yield line
    kept = [outcome for outcome in outcomes if outcome.kept]
    if kept:
        reasons = Counter(reason for outcome in kept for reason in outcome.kept)
        told = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        yield f"{counted(len(kept), 'source')} kept: {told}"
