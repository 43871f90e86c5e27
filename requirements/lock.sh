#!/bin/sh
# Resolves every *.in together, so that no two environments ever hold different versions of one package, then
# writes one lock file for each. torch is pinned without its local version: pip takes a CPU build where it finds one.
set -eu
cd "$(dirname "$0")"
UV=${UV:-uv}
all=$(mktemp)
trap 'rm -f "$all"' EXIT
compile="$UV pip compile --quiet --no-header --no-annotate --no-emit-index-url --no-emit-find-links --python-version 3.11 --custom-compile-command make-lock"
find_links=${PIP_FIND_LINKS:+--find-links $PIP_FIND_LINKS}

$compile $find_links runtime.in export.in optimum.in dev.in -o "$all"
$compile --generate-hashes -c "$all" runtime.in -o runtime.txt
for name in export optimum dev; do
  $compile $find_links -c "$all" $name.in -o $name.txt
  sed -i 's/^\(torch==[0-9.]*\)+cpu$/\1/' $name.txt
done
$compile --universal --generate-hashes kernels.in -o kernels.txt
$compile tools.in -o tools.txt
$compile clients.in -o clients.txt

# A lock file of the clients in JavaScript that names no registry.
cd ../tests/clients/node
PATH="$PWD/../../../.venv-clients/bin:$PATH" npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
