#!/usr/bin/env bash
# Runs the disk part of the side-by-side harness in QEMU (TCG), in User Mode Linux, and in Uml with a raw image, with a copy-on-write file of User
# Mode Linux and with a qcow2 image, in turns, and prints the median of each. Then the qcow2 format alone: the same NBD client on qemu-nbd and on
# `DiskImages serve`.
#
#   benchmarks/disks.sh HARNESS [runs, 3 unless given]
#
# HARNESS is the folder with bench.sh. Needed (Debian):
#   apt-get install qemu-system-x86 qemu-utils user-mode-linux busybox-static gcc cpio lz4
# Images are in FOLDER, in memory unless told otherwise; DISK_MIB=128 is the size of the disk, which the sequential part goes through once: with
# 128 most of its time is the first use of the guest's code, with 1024 it is steady.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
harness=${1:?the folder of the harness, with bench.sh in it}
runs=${2:-3}
: "${DISK_MIB:=128}" "${FOLDER:=/dev/shm}" "${WORK:=${XDG_CACHE_HOME:-$HOME/.cache}/uml-bench}" "${REQUESTS:=100000}"
[ -x "$harness/bench.sh" ] || { echo "There is no bench.sh in $harness." >&2; exit 2; }

work=$(mktemp -d)
images=$(mktemp -d -p "$FOLDER")
server=
trap '[ -z "$server" ] || kill $server; rm -rf "$work" "$images"' EXIT
for sample in BootLinux DiskImages; do
    dotnet build -c Release -v q -o "$work/$sample" "$root/samples/$sample" >&2
done
[ -s "$WORK/build/initrd.gz" ] || WORK=$WORK "$harness/bench.sh" build >&2
kernel=$(ls "$WORK"/kernel/boot/vmlinuz-* | head -1)
initrd=$WORK/build/initrd.gz
disk=$images/disk
arguments="console=ttyS0 quiet panic=-1 reboot=t bench=disk bdisk=/dev/vda bmib=$DISK_MIB"

uml() { # uml OPTION
    "$work/BootLinux/BootLinux" --kernel "$kernel" --initrd "$initrd" --mem 256M --append "$arguments" --disk "$1"
}

run() { # run TARGET
    rm -f "$images"/*
    head -c $((DISK_MIB << 20)) /dev/zero >"$disk"
    case $1 in
    qemu)
        qemu-system-x86_64 -machine q35 -accel tcg -cpu max -smp 1 -m 256 -nodefaults -no-user-config -display none -serial stdio -no-reboot \
            -kernel "$kernel" -initrd "$initrd" -append "$arguments" -drive "file=$disk,if=none,id=d0,format=raw" -device virtio-blk-pci,drive=d0 ;;
    linux) taskset -c 0 linux.uml mem=256M initrd="$initrd" ubd0="$disk" con=null con0=fd:0,fd:1 quiet bench=disk bdisk=/dev/ubda bmib="$DISK_MIB" ;;
    raw) uml "$disk" ;;
    cow) uml "$images/over,format=cow,backing=$disk" ;;
    qcow2) "$work/DiskImages/DiskImages" create "$images/disk.qcow2" "${DISK_MIB}M" --format qcow2 && uml "$images/disk.qcow2,format=qcow2" ;;
    esac </dev/null >"$work/output" 2>&1 || true
    grep -q BENCH-DONE "$work/output" || { tail -n 20 "$work/output" >&2; echo "$1 did not finish." >&2; exit 1; }
    awk -v target="$1" '/^BENCH [a-z]/ { print $2, target, $4, $5 }' "$work/output" >>"$work/all"
}

targets="qemu linux raw cow qcow2"
for ((i = 0; i < runs; i++)); do
    for target in $targets; do run "$target"; done
done

printf '%s, %s, %s MiB, medians of %s\n\n' "$(date +%F)" "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | sed 's/^ *//')" "$DISK_MIB" "$runs"
printf '| workload | unit | QEMU | UML | raw | cow | qcow2 |\n| --- | --- | --: | --: | --: | --: | --: |\n'
for name in seqwrite_1m seqread_1m rnd4k_read_q1 rnd4k_write_q1 rnd4k_read_q8; do
    printf '| %s | %s |' "$name" "$(awk -v n="$name" '$1 == n { print $4; exit }' "$work/all")"
    for target in $targets; do
        awk -v n="$name" -v t="$target" '$1 == n && $2 == t { print $3 }' "$work/all" | sort -n | awk '{ v[NR] = $1 } END { printf " %.0f |", v[int((NR + 1) / 2)] }'
    done
    echo
done

# An image whose clusters all have their places; requests are 1 MiB and 4 KiB apart, so that none follows another.
rm -f "$images"/*
qemu-img create -q -f qcow2 -o preallocation=full "$images/disk.qcow2" 1G
serve() { # serve TARGET SOCKET
    case $1 in
    qemu-nbd) exec qemu-nbd -f qcow2 -k "$2" -t "$images/disk.qcow2" ;;
    Uml) exec "$work/DiskImages/DiskImages" serve "$images/disk.qcow2" "$2" --format qcow2 ;;
    esac
}
echo
for ((i = 0; i < runs; i++)); do
    for target in qemu-nbd Uml; do
        serve "$target" "$images/socket.$target.$i" >/dev/null 2>&1 &
        server=$!
        until [ -S "$images/socket.$target.$i" ]; do sleep 0.1; done
        for kind in read write; do
            qemu-img bench -f raw -c "$REQUESTS" -d 16 -s 4096 -S 1052672 $([ $kind = read ] || echo -w) "nbd+unix:///?socket=$images/socket.$target.$i" |
                awk -v t="$target" -v k="$kind" -v n="$REQUESTS" '/completed in/ { printf "%s %s %.0f\n", t, k, n / $4 }' >>"$work/nbd"
        done
        kill $server
        wait $server 2>/dev/null || true
        server=
    done
done
echo '| qcow2 by NBD, 4 KiB, 16 at once | requests/s |'
echo '| --- | --: |'
for target in qemu-nbd Uml; do
    for kind in read write; do
        awk -v t="$target" -v k="$kind" '$1 == t && $2 == k { print $3 }' "$work/nbd" | sort -n | awk -v t="$target" -v k="$kind" '{ v[NR] = $1 } END { printf "| %s, %s | %.0f |\n", t, k, v[int((NR + 1) / 2)] }'
    done
done
