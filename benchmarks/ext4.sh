#!/usr/bin/env bash
# Makes an ext4 image of a tree, such as debootstrap makes, by Uml and by mke2fs, in turn, and prints the best time of each.
#
#   benchmarks/ext4.sh TREE [RUNS]
#
# Needed: apt-get install e2fsprogs. Each run is a process of its own, its start included; both read from the host's page cache. Images are made in
# TMPDIR.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tree=${1:?a tree of files}
runs=${2:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dotnet build -c Release -v q -o "$work/program" "$root/benchmarks/Uml.Benchmarks" >&2

seconds() {
    local start=$EPOCHREALTIME
    "$@" >&2
    awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f\n", b - a }'
}

tar -C "$tree" -cf - . | wc -c >"$work/size"
for ((run = 0; run < runs; run++)); do
    rm -f "$work"/*.img
    seconds "$work/program/Uml.Benchmarks" ext4 "$tree" "$work/uml.img" >>"$work/uml"
    e2fsck -fn "$work/uml.img" >/dev/null 2>&1 || { echo "e2fsck finds errors." >&2; exit 1; }
    seconds mke2fs -q -t ext4 -d "$tree" "$work/mke2fs.img" "$(($(stat -c %s "$work/uml.img") / 1024))" >>"$work/mke2fs"
done
awk -v uml="$(sort -n "$work/uml" | head -1)" -v peer="$(sort -n "$work/mke2fs" | head -1)" -v size="$(cat "$work/size")" \
    'BEGIN { printf "%d MiB: Uml %.2f s, mke2fs -d %.2f s: %.1f times as fast\n", size / 1048576, uml, peer, peer / uml }'
