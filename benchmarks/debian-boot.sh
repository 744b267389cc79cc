#!/usr/bin/env bash
# Boots Debian with systemd from a disk to its login prompt, here and in QEMU without KVM, in turns: the same kernel, the same initial RAM disk, and
# the same image below a fresh copy-on-write file for each boot. Prints the seconds of each boot and the medians.
#
#   benchmarks/debian-boot.sh [runs, 3 unless given]
#
# Needed (Debian): apt-get install qemu-system-x86 qemu-utils
# Every setting is a variable: MEM=512 (MiB), TIMEOUT=600 (seconds a boot), QEMU_MACHINE=q35.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
runs=${1:-3}
: "${MEM:=512}" "${TIMEOUT:=600}" "${QEMU_MACHINE:=q35}"
for each in qemu-system-x86_64 qemu-img dotnet; do
    command -v "$each" >/dev/null || { echo "There is no $each; see the first lines of this script." >&2; exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sample=$root/samples/DebianFromDisk
[ -n "${NO_BUILD:-}" ] || dotnet build -c Release -m:1 -v q "$sample" >&2
program=$sample/bin/Release/net10.0/DebianFromDisk.dll
dotnet "$program" --export "$work"
image=$(readlink "$work/disk.img")
echo "$MEM MiB, $runs boots each"

# to_login FILE COMMAND...: the seconds until the prompt; the machine is ended then.
to_login() {
    local output=$1 start end pid deadline
    shift
    start=$(date +%s.%N)
    deadline=$(($(date +%s) + TIMEOUT))
    setsid "$@" </dev/null >"$output" 2>&1 &
    pid=$!
    until grep -q 'login: ' "$output"; do
        if ! kill -0 $pid 2>/dev/null || [ "$(date +%s)" -ge "$deadline" ]; then
            kill -- -$pid 2>/dev/null || true
            tail -n 20 "$output" >&2
            echo "there was no login prompt" >&2
            exit 1
        fi
        sleep 0.02
    done
    end=$(date +%s.%N)
    kill -- -$pid
    wait $pid 2>/dev/null || true
    awk "BEGIN { printf \"%.2f\n\", $end - $start }"
}

ours() {
    rm -f "$work/changes.cow"
    to_login "$work/ours" dotnet "$program" --changes "$work/changes.cow" --mem "${MEM}M"
}

qemu() {
    rm -f "$work/changes.qcow2"
    qemu-img create -q -f qcow2 -F raw -b "$image" "$work/changes.qcow2"
    to_login "$work/qemu" qemu-system-x86_64 -M "$QEMU_MACHINE" -accel tcg -cpu max -smp 1 -m "$MEM" -nodefaults -no-user-config -display none \
        -serial stdio -no-reboot -kernel "$work/vmlinuz" -initrd "$work/initrd.img" \
        -append "console=ttyS0 panic=-1 cryptomgr.notests quiet root=/dev/vda rw" \
        -drive "file=$work/changes.qcow2,if=none,id=disk,format=qcow2" -device virtio-blk-pci,drive=disk -device virtio-rng-pci
}

median() { sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

: >"$work/ours.times"
: >"$work/qemu.times"
for run in $(seq "$runs"); do
    for which in ours qemu; do
        seconds=$($which)
        echo "$seconds" >>"$work/$which.times"
        echo "boot $run, $which: $seconds s"
    done
done
a=$(median <"$work/ours.times") b=$(median <"$work/qemu.times")
awk "BEGIN { printf \"median: ours %.2f s, QEMU %.2f s: %.1f times as fast\n\", $a, $b, $b / $a }"
