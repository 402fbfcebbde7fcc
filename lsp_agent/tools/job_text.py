"""A job as the model reads it and as an editor draws it."""

from typing import Any

from lsp_agent.shell.jobs import Job

NO_OUTPUT = "no output"
_REASONS = {
    "stopped": "The command was aborted before it ended.",
    "processes": "The command was ended: it started too many processes.",
    "memory": "The command was ended: it used too much memory.",
    "output": "The command was ended: it printed too much.",
    "lost": "The command was ended from outside.",
    "orphaned": "The command was ended with the server.",
}


def job_text(job: Job) -> str:
    """Standard output, then the errors, then how it ended; of long output both ends."""
    parts = [job.out.text().rstrip("\n"), job.err.text().rstrip("\n")]
    ended = job.ended
    if ended is not None:
        if ended.why:
            parts.append(_REASONS.get(ended.why, "The command was ended."))
        elif ended.exit_code:
            parts.append(f"Exit code {ended.exit_code}")
    if job.set_aside:
        names = ", ".join(job.set_aside)
        parts.append(f"Commands may not make protected files; what this one made was renamed: {names}")
    text = "\n".join([part for part in parts if part.strip()])
    return f"{text or NO_OUTPUT}\n\n<cwd>{job.cwd}</cwd>"


def job_metadata(job: Job) -> dict[str, Any]:
    """For user interfaces (CORE 26)."""
    return {
        "start_time": job.started_at_ms,
        "end_time": job.ended_at_ms,
        "output": job.both.text(),
        "description": job.description,
        "working_directory": str(job.cwd),
        "background": job.background,
        "shell_id": job.job_id,
        "exit_code": job.ended.exit_code if job.ended is not None else None,
    }
