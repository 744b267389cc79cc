#!/usr/bin/env bash
# Cuts the power of machines that write: kills their process, with a driver and with a real guest, and loses what the host had not flushed. What was
# acknowledged has to be there, file systems need their journal only, and qemu-img finds nothing wrong. Fails at the first loss.
#
#   tests/soak/power-cuts.sh [ROUNDS [FORMAT...]]     # 300 by default; raw, cow, qcow2, qcow2-small: guests have disks of all four
#
# A round with a guest boots it, and so takes seconds: 300 of them take most of an hour. Images that have lost something stay, and are named.
#
# Needed (Debian): apt-get install e2fsprogs qemu-utils. TMPDIR=/dev/shm makes it several times as fast.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
rounds=${1:-300}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- raw cow qcow2 qcow2-small
seed=$RANDOM
echo "seed $seed"
program=$root/tests/Uml.PowerCuts.Tests/bin/Release/net10.0/Uml.PowerCuts.Tests
dotnet build -c Release -v q "$root/tests/Uml.PowerCuts.Tests" >&2
run() {
    folder=$(mktemp -d)
    "$program" "$@" --rounds "$rounds" --seed "$seed" --folder "$folder" || { echo "The images are in $folder." >&2; exit 1; }
    rm -rf "$folder"
}
for format in "$@"; do
    run lose-power --format "$format"
    run kill --format "$format"
done
run kill-guest
