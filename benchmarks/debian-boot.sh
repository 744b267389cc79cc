#!/usr/bin/env bash
# Boots Debian with systemd from a disk to its login prompt, here and in QEMU without KVM, in turns: the same kernel, the same initial RAM disk, and
# the same image below a fresh copy-on-write file for each boot. Prints the seconds of each boot, with those of processor time, which say more where
# the host is busy, and the medians of both.
#
#   benchmarks/debian-boot.sh [runs, 3 unless given]
#
# Needed (Debian): apt-get install qemu-system-x86 qemu-utils
# With PUBLISH=aot Uml is a native executable, as QEMU is; it starts faster.
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
guest=
trap '[ -z "$guest" ] || kill -- -$guest; rm -rf "$work"' EXIT
sample=$root/samples/DebianFromDisk
case ${PUBLISH:-} in
aot)
    dotnet publish -c Release -v q -r linux-x64 -p:PublishAot=true -p:OptimizationPreference=Speed -o "$work/program" "$sample" >&2
    program=("$work/program/DebianFromDisk")
    ;;
"")
    [ -n "${NO_BUILD:-}" ] || dotnet build -c Release -m:1 -v q "$sample" >&2
    program=(dotnet "$sample/bin/Release/net10.0/DebianFromDisk.dll")
    ;;
*) echo "PUBLISH is aot or nothing." >&2; exit 2 ;;
esac
"${program[@]}" --export "$work"
image=$(readlink "$work/disk.img")
echo "$MEM MiB, $runs boots each"

# to_login FILE COMMAND...: the seconds until the prompt, and the processor's; the machine is ended then.
to_login() {
    local output=$1 start end deadline
    shift
    : >"$output"
    start=$(date +%s.%N)
    deadline=$(($(date +%s) + TIMEOUT))
    setsid "$@" </dev/null >"$output" 2>&1 &
    guest=$!
    until grep -q 'login: ' "$output"; do
        if ! kill -0 $guest 2>/dev/null || [ "$(date +%s)" -ge "$deadline" ]; then
            tail -n 20 "$output" >&2
            echo "there was no login prompt" >&2
            exit 1
        fi
        sleep 0.02
    done
    end=$(date +%s.%N)
    awk -v seconds="$(awk "BEGIN { print $end - $start }")" -v ticks="$(getconf CLK_TCK)" \
        '{ sub(/.*\) /, ""); printf "%.2f %.2f\n", seconds, ($12 + $13) / ticks }' "/proc/$guest/stat"
    kill -- -$guest
    wait $guest 2>/dev/null || true
    guest=
}

ours() {
    rm -f "$work/changes.cow"
    to_login "$work/ours" "${program[@]}" --changes "$work/changes.cow" --mem "${MEM}M"
}

qemu() {
    rm -f "$work/changes.qcow2"
    qemu-img create -q -f qcow2 -F raw -b "$image" "$work/changes.qcow2"
    to_login "$work/qemu" qemu-system-x86_64 -M "$QEMU_MACHINE" -accel tcg -cpu max -smp 1 -m "$MEM" -nodefaults -no-user-config -display none \
        -serial stdio -no-reboot -kernel "$work/vmlinuz" -initrd "$work/initrd.img" \
        -append "console=ttyS0 panic=-1 cryptomgr.notests quiet root=/dev/vda rw" \
        -drive "file=$work/changes.qcow2,if=none,id=disk,format=qcow2" -device virtio-blk-pci,drive=disk -device virtio-rng-pci
}

# median FILE COLUMN
median() { cut -d' ' -f"$2" "$1" | sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

: >"$work/ours.times"
: >"$work/qemu.times"
for run in $(seq "$runs"); do
    for which in ours qemu; do
        $which >"$work/time"
        cat "$work/time" >>"$work/$which.times"
        read -r seconds processor <"$work/time"
        echo "boot $run, $which: $seconds s, $processor s of processor time"
    done
done
for column in 1 2; do
    ours=$(median "$work/ours.times" $column) qemu=$(median "$work/qemu.times" $column)
    awk -v what="$([ $column = 1 ] && echo time || echo 'processor time')" \
        "BEGIN { printf \"median %s: ours %.2f s, QEMU %.2f s: %.2f times as fast\n\", what, $ours, $qemu, $qemu / $ours }"
done
