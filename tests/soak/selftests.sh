#!/usr/bin/env bash
# Runs Linux's own self tests of x86 (tools/testing/selftests/x86, of Debian's kernel sources) in a guest, as 32-bit and 64-bit programs:
# single steps, sigreturn, MOV SS, LDTs, IOPL, FSGSBASE, virtual-8086 mode. Takes some minutes; fails if one of them does.
#
#   tests/soak/selftests.sh [options of BootLinux, such as --engine Interpreter]
#
# Needed (Debian, x86-64):
#   apt-get install linux-source gcc-multilib busybox-static cpio xz-utils
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
sources=$(find /usr/src -maxdepth 1 -name 'linux-source-*.tar.xz' 2>/dev/null | sort -V | tail -1)
for each in gcc busybox cpio xz; do
    command -v "$each" >/dev/null || { echo "There is no $each; see the first lines of this script." >&2; exit 2; }
done
[ -n "$sources" ] || { echo "There are no kernel sources in /usr/src; see the first lines of this script." >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree"/{bin,dev,proc,sys,tmp,tests} "$work/source"
tar -xf "$sources" -C "$work/source" --strip-components=1 --wildcards \
    '*/tools/testing/selftests/x86/*' '*/tools/testing/selftests/kselftest.h' '*/arch/x86/include/asm/desc_defs.h'

# What they are built from and how stands in their Makefile. Left out: AMX, which the processor does not have, and what is no test.
cd "$work/source/tools/testing/selftests/x86"
both="single_step_syscall sysret_ss_attrs syscall_nt test_mremap_vdso check_initial_reg_state sigreturn iopl ioperm test_vsyscall mov_ss_trap
    syscall_arg_fault fsgsbase_restore sigtrap_loop"
only32="entry_from_vm86 test_syscall_vdso unwind_vdso test_FCMOV test_FCOMI test_FISTTP vdso_restorer ldt_gdt ptrace_syscall"
only64="fsgsbase sysret_rip corrupt_xstate_header"
build() {
    local bits=$1 name=$2 more=()
    case $name$bits in
        sysret_ss_attrs64) more=(thunks.S) ;;
        test_syscall_vdso32) more=(thunks_32.S) ;;
        ptrace_syscall32) more=(raw_syscall_helper_32.S) ;;
        check_initial_reg_state*) more=(-Wl,-ereal_start) ;;
    esac
    gcc -m"$bits" -static -no-pie -O2 -g -std=gnu99 -w -DCAN_BUILD_32 -DCAN_BUILD_64 -I. -o "$tree/tests/${name}_$bits" "$name.c" "${more[@]}" -lrt -ldl -lm
}
for name in $both $only32; do build 32 "$name"; done
for name in $both $only64; do build 64 "$name"; done
count=$(find "$tree/tests" -type f | wc -l)

cp "$(command -v busybox)" "$tree/bin/busybox"
cat >"$tree/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
cd /tests
for each in *; do
    if timeout 300 ./"$each" >/tmp/output 2>&1; then
        echo "PASSED $each"
    else
        echo "FAILED $each: status $?"
        grep -a FAIL /tmp/output
        tail -3 /tmp/output
    fi
done
echo SELFTESTS-END
poweroff -f
INIT
chmod +x "$tree/init"
(cd "$tree" && find . | cpio -o -H newc --quiet) >"$work/initrd"

dotnet build -c Release -v q -o "$work/program" "$root/samples/BootLinux" >&2
"$work/program/BootLinux" --check Stop --mem 512M --initrd "$work/initrd" --append "quiet loglevel=1" "$@" | tr -d '\r' | tee "$work/console" || true
passed=$(grep -c '^PASSED' "$work/console" || true)
echo "$passed of $count self tests passed"
grep -q '^SELFTESTS-END' "$work/console" && [ "$passed" = "$count" ]
