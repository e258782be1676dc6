"""Commands stopped at random moments: `python -m meanflow_audio_codec.tools.kill_commands --moments 30`.

Each command (encode, decode, a batch on two processes, train, study run) runs undisturbed first. Then, again and again,
it is started anew and gets SIGKILL, SIGTERM or SIGINT at a random moment; after that

- the exit code is that of the signal, or 0 if it came too late, and no traceback was printed,
- within 5 s no process that the command started is left,
- files under their final names are those of the undisturbed run; after SIGTERM and SIGINT no temporary ones are left,
- the same command, started once more, finishes the work to the same bytes.

Whatever is not so is printed, and makes the exit code 1. Needs Linux, where processes are found below /proc.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# A mark in the environment, by which the processes of a command are found whoever their parent is by then.
MARK = "MEANFLOW_KILL_COMMANDS"
ORPHAN_SECONDS = 5.0
SAMPLE_RATE = 16_000
CHECKPOINT_EVERY = 3


@dataclass(frozen=True)
class Trial:
    """A command, and which files below its output folder must be the same in every run, as soon as they exist."""

    name: str
    arguments: Callable[[Path], list[str]]
    is_final: Callable[[Path], bool]


def main() -> None:
    """Run the trials and print one line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="speech-16k")
    parser.add_argument("--commands", default="encode,decode,batch,train,study")
    parser.add_argument("--moments", type=int, default=30, help="of each command")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of the recordings")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trials = prepare(Path(folder), arguments.model, arguments.seconds, arguments.commands.split(","))
        faults = [
            fault
            for trial in trials
            for fault in kill_at_random(
                trial, Path(folder), arguments.moments, random.Random(arguments.seed), warm_up=True
            )
        ]
    sys.exit(1 if faults else 0)


def prepare(folder: Path, model: str, seconds: float, names: list[str]) -> list[Trial]:
    """The trials of these names, with the inputs that they need below `folder`."""
    recordings = folder / "in"
    recordings.mkdir()
    for number in range(5):
        _write_noise(recordings / f"{number}.wav", seconds / (number + 1), number)
    if "decode" in names:
        subprocess.run(
            _command("encode", str(recordings / "0.wav"), str(folder / "0.mfc"), "--model", model),
            check=True,
            stdout=subprocess.DEVNULL,
        )
    if "train" in names:
        _write_training_data(folder / "data")
    trials = {
        "encode": Trial(
            "encode",
            lambda out: ["encode", str(recordings / "0.wav"), str(out / "0.mfc"), "--model", model, "--force"],
            _is_visible,
        ),
        "decode": Trial(
            "decode",
            lambda out: ["decode", str(folder / "0.mfc"), str(out / "0.wav"), "--model", model, "--force"],
            _is_visible,
        ),
        "batch": Trial(
            "batch",
            lambda out: ["encode", str(recordings), str(out / "coded"), "--model", model, "--jobs", "2"],
            _is_visible,
        ),
        "train": Trial(
            "train",
            lambda out: ["train", "--run-dir", str(out / "run"), "--data-dir", str(folder / "data"), *_training()],
            _is_lasting,
        ),
        "study": Trial(
            "study",
            lambda out: ["study", "run", "--output-dir", str(out / "study"), *_cells()],
            # A row has times in it, and a checkpoint goes once its run is scored.
            lambda path: _is_visible(path) and "model" in path.parts,
        ),
    }
    return [trials[name] for name in names]


def kill_at_random(
    trial: Trial, folder: Path, moments: int, random_numbers: random.Random, *, warm_up: bool
) -> list[str]:
    """What went wrong, if anything did; each run is told in a line of JSON.

    The moments lie in the time that an undisturbed run takes; with `warm_up` one whose programs were compiled before.
    """
    if warm_up:
        _run(trial, folder / f"{trial.name}-warm-up")
    start = time.monotonic()
    reference, _ = _run(trial, folder / f"{trial.name}-reference")
    duration = time.monotonic() - start
    faults = []
    for moment in range(moments):
        number = SIGNALS[moment % len(SIGNALS)]
        seconds = random_numbers.uniform(0.0, duration)
        out = folder / f"{trial.name}-{moment}"
        found = list(_kill_once(trial, out, number, seconds, reference))
        faults += found
        line = {"command": trial.name, "signal": number.name, "after": round(seconds, 2), "faults": found}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        shutil.rmtree(out)
    return faults


def _kill_once(
    trial: Trial, out: Path, number: signal.Signals, seconds: float, reference: dict[str, str]
) -> Iterator[str]:
    out.mkdir()
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # as a shell sets it for the background; it would be inherited
        signal.signal(signal.SIGINT, signal.default_int_handler)
    mark = uuid.uuid4().hex
    errors = out.with_suffix(".errors")
    with errors.open("wb") as file:
        process = subprocess.Popen(
            _command(*trial.arguments(out)),
            stdout=subprocess.DEVNULL,
            stderr=file,
            env=_environment(out, mark),
        )
        time.sleep(seconds)
        process.send_signal(number)
        code = process.wait()
    # Python itself ends by the signal before the program has begun to handle it; a shell sees the same code.
    code = 128 - code if code < 0 else code
    if code not in (0, 128 + number):
        yield f"exit code {code} after {number.name}"
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (left := processes_marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if left:
        yield f"{len(left)} processes left after {ORPHAN_SECONDS:g} s"
        for orphan in left:
            os.kill(orphan, signal.SIGKILL)
    text = errors.read_text(encoding="utf-8", errors="replace")
    is_of_start = "KeyboardInterrupt" in text and "main()" not in text  # the program had not begun
    if "Traceback" in text and not is_of_start:
        yield f"a traceback after {number.name}: {text[-300:]}"
    for path, digest in digests(out, trial.is_final).items():
        if reference.get(path, digest) != digest:
            yield f"{path} differs from that of an undisturbed run"
    if number != signal.SIGKILL:
        temporary = [path for path in out.rglob("*") if path.suffix == ".tmp"]
        if temporary:
            yield f"temporary files are left: {', '.join(map(str, temporary))}"
    finished, code = _run(trial, out)
    if code != 0:
        yield f"the same command then ended with code {code}"
    if finished != reference:
        odd = sorted(path for path in {*finished, *reference} if finished.get(path) != reference.get(path))
        yield f"the same command then wrote something else: {', '.join(odd)}"


def _run(trial: Trial, out: Path) -> tuple[dict[str, str], int]:
    """Run a command to its end; the files that it wrote, and its exit code."""
    out.mkdir(exist_ok=True)
    process = subprocess.run(
        _command(*trial.arguments(out)), capture_output=True, check=False, env=_environment(out, "undisturbed")
    )
    return digests(out, trial.is_final), process.returncode


def digests(folder: Path, is_final: Callable[[Path], bool]) -> dict[str, str]:
    """Files below a folder that count, with the hashes of their contents."""
    files = ((path, path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(name): hashlib.sha256(path.read_bytes()).hexdigest() for path, name in files if is_final(name)}


def processes_marked(mark: str) -> list[int]:
    """The processes whose environment has this mark, but for those that have ended and wait for their parent."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if state not in "ZX":
                    found.append(int(folder.name))
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return found


def _is_lasting(path: Path) -> bool:
    """Of a training run: what does not depend on when it was stopped, nor tells how long it took."""
    part, name = path.parts[1], path.parts[2] if len(path.parts) > 2 else ""
    is_planned = name.isdecimal() and int(name) % CHECKPOINT_EVERY == 0
    return part in ("config.json", "normalizer.json", "model") or (part == "checkpoints" and is_planned)


def _is_visible(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "meanflow_audio_codec", *arguments]


def _environment(out: Path, mark: str) -> dict[str, str]:
    """The mark, a cache of packed recordings beside the output, and one of compiled programs for all runs."""
    compiled = {"JAX_COMPILATION_CACHE_DIR": str(out.parent / "compiled")}
    return compiled | os.environ | {MARK: mark, "MEANFLOW_CACHE_DIR": str(out / ".cache")}


def _write_noise(path: Path, seconds: float, seed: int) -> None:
    samples = random.Random(seed).randbytes(2 * int(seconds * SAMPLE_RATE))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        # The upper byte shifted: a quarter of full scale.
        file.writeframes(bytes(b if i % 2 == 0 else (b >> 2) - 32 & 0xFF for i, b in enumerate(samples)))


def _write_training_data(folder: Path) -> None:
    speech = folder / "speech"
    speech.mkdir(parents=True)
    splits = ("train", "train", "valid", "test")
    for number in range(len(splits)):
        _write_noise(speech / f"{number}.wav", 3.0, number)
    rows = [f"{number}.wav,{split}" for number, split in enumerate(splits)]
    (speech / "manifest.csv").write_text("\n".join(["path,split", *rows]) + "\n")


def _training() -> list[str]:
    """The smallest training of a codec that has everything in it: checkpoints, validation, export with tables."""
    settings: dict[str, dict[str, Any]] = {
        "normalization": {"fit_batches": 1},
        "decoder.architecture": {"width": 8, "dilations": [[1, 1]]},
        "training": {
            "num_steps": 24,
            "batch_size": 2,
            "log_every": 1,
            "validate_every": 6,
            "checkpoint_every": CHECKPOINT_EVERY,
            "keep_checkpoints": 99,
            "validation_batches": 1,
        },
    }
    for network in ("encoder", "prior"):
        settings[f"{network}.architecture"] = {"width": 16, "num_blocks": 1}
    assignments = [f"{part}.{field}={value}" for part, fields in settings.items() for field, value in fields.items()]
    options = [option for each in assignments for option in ("--set", each)]
    return ["--config", "speech-16k", *options]


def _cells() -> list[str]:
    """Two cells of the study with tiny networks."""
    chosen = {"preset": "smoke", "architecture": "mlp", "tokenization": "reshape", "dataset": "mnist", "jobs": "2"}
    methods = ["--method", "autoencoder", "--method", "mean-flow"]
    return [*(text for name, value in chosen.items() for text in (f"--{name}", value)), *methods]


if __name__ == "__main__":
    main()
