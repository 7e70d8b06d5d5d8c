"""Writes results/mutants.md from what cargo-mutants left: how many changes of the formulas a test noticed, and the list of those it did not.

    python scripts/mutants_report.py FOLDER [FOLDER ...]     (folders `mutants.out`; see `just mutants`)
"""

import collections
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    folders = [Path(name) for name in sys.argv[1:]]
    if not folders:
        sys.exit(__doc__)
    found = {"caught": set(), "timeout": set(), "missed": set(), "unviable": set()}
    for folder in folders:
        for kind, names in found.items():
            names.update((folder / f"{kind}.txt").read_text().splitlines())
    noticed = found["caught"] | found["timeout"]
    missed = found["missed"] - noticed
    files = collections.Counter(), collections.Counter()
    for count, names in zip(files, (noticed, missed)):
        count.update(name.split(":")[0] for name in names)
    if not noticed and not missed:
        sys.exit("no viable mutant was tried")
    version = subprocess.run(["cargo", "mutants", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    total = len(noticed) + len(missed)
    listing = ["cargo", "mutants", "-p", "gbm-sde", "-p", "score-match", "--list"]
    listed = len(subprocess.run(listing, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines())
    lines = [
        "# Mutation tests of the formulas",
        "",
        f"{version}: of {total} viable changes of an operator, sign, comparison or result, one at a time, a test noticed "
        f"{len(noticed)} ({100 * len(noticed) / total:.1f}%), {len(found['timeout'])} of them by not ending. "
        f"{len(found['unviable'])} more did not compile; {max(0, listed - total - len(found['unviable']))} of the {listed} that `.cargo/mutants.toml` names have not been tried yet.",
        "",
        "| file | noticed | not noticed |",
        "| --- | ---: | ---: |",
        *(f"| `{name}` | {files[0][name]} | {files[1][name]} |" for name in sorted(files[0] | files[1])),
        "",
        "Not noticed:" if missed else "None of those tried was missed.",
        "",
        *(f"- `{name}`" for name in sorted(missed)),
    ]
    (ROOT / "results" / "mutants.md").write_text("\n".join(lines).rstrip() + "\n")
    print("\n".join(lines[2:3]))


if __name__ == "__main__":
    main()
