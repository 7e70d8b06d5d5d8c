"""Writes results/mutants.md from what cargo-mutants left: how many changes of the formulas a test noticed, and the list of those it did not.

    python scripts/mutants_report.py FOLDER [FOLDER ...]     (folders `mutants.out`; see `just mutants`)

Files that no folder names keep the row that results/mutants.md has of them.
"""

import argparse
import collections
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--note", default="", help="a sentence on how it was run")
    options = parser.parse_args()
    folders = options.folders
    found = {"caught": set(), "timeout": set(), "missed": set(), "unviable": set()}
    for folder in folders:
        for kind, names in found.items():
            names.update((folder / f"{kind}.txt").read_text().splitlines())
    noticed = found["caught"] | found["timeout"]
    missed = found["missed"] - noticed
    # A change that some tests missed and others noticed was noticed.
    files = collections.Counter(), collections.Counter()
    bad = collections.Counter(name.split(":")[0] for name in found["unviable"])
    for count, names in zip(files, (noticed, missed)):
        count.update(name.split(":")[0] for name in names)
    if not noticed and not missed:
        sys.exit("no viable mutant was tried")
    report = ROOT / "results" / "mutants.md"
    old = report.read_text() if report.exists() else ""
    unviable = len(found["unviable"])
    survivors = sorted(missed)
    for name, *row in re.findall(r"^\| `(.+?)` \| (\d+) \| (\d+) \| (\d+) \|", old, flags=re.M):
        if name not in files[0] | files[1]:
            files[0][name], files[1][name] = int(row[0]), int(row[1])
            bad[name] = int(row[2])
            unviable += int(row[2])
            survivors += re.findall(rf"^- `({re.escape(name)}:.+)`$", old, flags=re.M)
    version = subprocess.run(["cargo", "mutants", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    caught, total = sum(files[0].values()), sum(files[0].values()) + sum(files[1].values())
    listing = ["cargo", "mutants", "-p", "gbm-sde", "-p", "score-match", "--list"]
    listed = len(subprocess.run(listing, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines())
    untried = max(0, listed - total - unviable)
    lines = [
        "# Mutation tests of the formulas",
        "",
        f"{version}: of {total} viable changes of an operator, sign, comparison or result, one at a time, a test noticed "
        f"{caught} ({100 * caught / total:.1f}%), {len(found['timeout'])} of them by not ending. {unviable} more did not compile; "
        f"{untried} of the {listed} that `.cargo/mutants.toml` names have not been tried; with them counted as not noticed it is "
        f"{100 * caught / (total + untried):.1f}%.",
        *(["", options.note] if options.note else []),
        "",
        "| file | noticed | not noticed | did not compile |",
        "| --- | ---: | ---: | ---: |",
        *(f"| `{name}` | {files[0][name]} | {files[1][name]} | {bad[name]} |" for name in sorted(files[0] | files[1])),
        "",
        "Not noticed:" if survivors else "None of those tried was missed.",
        "",
        *(f"- `{name}`" for name in survivors),
    ]
    report.write_text("\n".join(lines).rstrip() + "\n")
    print("\n".join(lines[2:3]))


if __name__ == "__main__":
    main()
