#!/usr/bin/env bash
# Exercises disks of every format in a guest: fio and stress-ng, which verify what they wrote, on the disk itself, on ext4, on dm-flakey and on
# dm-log-writes; the file system has to be clean. Fails if anything does.
#
#   tests/soak/disks.sh [SECONDS [FORMAT...]]     # of each exerciser, 20 by default: ten minutes a format; raw, cow, qcow2
#
# Needed (Debian, x86-64):
#   apt-get install fio stress-ng dmsetup e2fsprogs util-linux
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
for each in fio stress-ng dmsetup mke2fs e2fsck blkdiscard fstrim; do
    command -v "$each" >/dev/null || { echo "There is no $each; see the first lines of this script." >&2; exit 2; }
done
seconds=${1:-20}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- raw cow qcow2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree"/{etc,usr/bin}
. "$here/tree.bash"
add "$(command -v fio)" "$(command -v stress-ng)" "$(command -v dmsetup)" "$(command -v mke2fs)" "$(command -v e2fsck)" "$(command -v blkdiscard)" "$(command -v fstrim)"
{
    echo "export SECONDS_EACH=$seconds"
    for each in mke2fs blkdiscard fstrim; do echo "export $each=$(command -v $each)"; done
    cat "$here/disks.guest"
} >"$tree/etc/exercise"

dotnet build -c Release -v q "$root/tests/Uml.PowerCuts.Tests" >&2
status=0
for format in "$@"; do
    echo "--- $format"
    "$root/tests/Uml.PowerCuts.Tests/bin/Release/net10.0/Uml.PowerCuts.Tests" exercise --format "$format" --tree "$tree" </dev/null | tr -d '\r' | tee "$work/console"
    grep -q '^DISKS-END' "$work/console" && ! grep -q '^FAILED' "$work/console" || status=1
done
exit $status
