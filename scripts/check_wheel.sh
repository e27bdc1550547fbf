#!/bin/sh
# Prove that the wheel is whole: build it, install it into an empty environment, and evolve two candidates in an empty
# folder, far from the checkout. Usage: check_wheel.sh PYTHON, where PYTHON has the package "build".
set -eu
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
checkout=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m build --quiet --wheel --outdir "$work/dist" "$checkout"
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --constraint "$checkout/constraints.txt" "$work"/dist/*.whl
mkdir "$work/empty"
cd "$work/empty"
"$work/venv/bin/gaaf-gp" evolve --primitives primitives.gaaf:free --data fashion10k --evaluations 2 --population 2 \
    --epochs 1 --fresh-seeds 2 --workers 2 --seed 0 --out run --quiet
for file in config.json result.json logbook.csv hall_of_fame.csv best_tree.png history.png; do
    test -s "run/$file" || { echo "the installed wheel did not write run/$file"; exit 1; }
done
"$work/venv/bin/gaaf-gp" report run
grep -q 'class="card"' run/report.html || { echo "the installed wheel did not report its run"; exit 1; }
echo "the installed wheel evolved two candidates"
