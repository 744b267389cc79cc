#!/usr/bin/env bash
# Runs the same work natively, in QEMU (TCG), in User Mode Linux and in Uml, and prints the tables of docs/performance.md.
#
#   benchmarks/compare.sh HARNESS [cpu|boot|mem|idle|all]
#
# HARNESS is the folder with bench.sh, the side-by-side harness, which fetches Debian's kernel and builds the guest programs. Needed:
#   apt-get install qemu-system-x86 user-mode-linux busybox-static gcc cpio lz4
# With PUBLISH=aot Uml is a native executable (docs/how-to-host-a-machine.md), which boots faster.
# RUNS, ONLY, TARGETS and the other settings of bench.sh are passed on. A full run takes about ten minutes a run; a guest that has not
# come to its end after TIMEOUT seconds (300) is given up, and the table goes without it. The targets take turns; where a neighbour on the
# same machine slows one processor at a time, take several runs: the last two tables are of the best.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
harness=${1:?the folder of the harness, with bench.sh in it}
kind=${2:-all}
[ -x "$harness/bench.sh" ] || { echo "There is no bench.sh in $harness." >&2; exit 2; }

program=$(mktemp -d)
work=$(mktemp -d)
trap 'rm -rf "$program" "$work"' EXIT
case ${PUBLISH:-} in
'') dotnet build -c Release -v q -o "$program" "$root/samples/BootLinux" >&2 ;;
aot) dotnet publish -c Release -v q -r linux-x64 -p:PublishAot=true -p:OptimizationPreference=Speed -o "$program" "$root/samples/BootLinux" >&2 ;;
*) echo "PUBLISH is aot or nothing." >&2; exit 2 ;;
esac
cp -r "$harness/." "$work"

export CANDIDATE="$program/BootLinux --kernel {kernel} --initrd {initrd} --mem {mem}M --append {cmdline}"
export CANDIDATE_CMDLINE="quiet reboot=t"
export TIMEOUT=${TIMEOUT:-300}
export OUT=$work/out
cd "$work"
./bench.sh build >&2
case $kind in
all) for each in cpu boot mem idle; do ./bench.sh "$each" >/dev/null; done ;;
*) ./bench.sh "$kind" >/dev/null ;;
esac
printf '%s, %s\n\n' "$(date +%F)" "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | sed 's/^ *//')"
./bench.sh table

# The best run of each workload, then geometric means of the ratios by what the workloads do.
ls "$OUT"/cpu.*.log >/dev/null 2>&1 || exit 0
awk -f "$root/benchmarks/groups.awk" "$OUT"/cpu.*.log
