#!/usr/bin/env bash
# Cuts the power of machines that write: kills their process, with a driver and with a real guest, and loses what the host had not flushed. What was
# acknowledged has to be there, file systems need their journal only, and qemu-img finds nothing wrong. Fails at the first loss.
#
#   tests/soak/power-cuts.sh [ROUNDS [FORMAT...]]     # 300 by default, a tenth of that with a guest; raw, cow, qcow2, qcow2-small
#
# Needed (Debian): apt-get install e2fsprogs qemu-utils. TMPDIR=/dev/shm makes it several times as fast.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
rounds=${1:-300}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- raw cow qcow2 qcow2-small
seed=$RANDOM
echo "seed $seed"
dotnet build -c Release -v q "$root/tests/Uml.PowerCuts.Tests" >&2
run() { "$root/tests/Uml.PowerCuts.Tests/bin/Release/net10.0/Uml.PowerCuts.Tests" "$@" --seed "$seed"; }
for format in "$@"; do
    run lose-power --format "$format" --rounds "$rounds"
    run kill --format "$format" --rounds "$rounds"
    run kill-guest --format "$format" --rounds $((rounds / 10 + 1))
    run kill-files --format "$format" --rounds $((rounds / 10 + 1))
done
