#!/usr/bin/env bash
# Makes a Debian disk, boots it twice, and looks at what came of it: whether systemd says that all is well, whether apt runs and dpkg is content,
# whether a file is still there after a reboot, whether changes can be committed and discarded, and what e2fsck says about the image. Takes some
# minutes.
#
#   tests/soak/debian.sh [options of DebianFromDisk, such as --size 8G]
#
# Needed (Debian): apt-get install e2fsprogs
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
for each in e2fsck dotnet; do
    command -v "$each" >/dev/null || { echo "There is no $each; see the first lines of this script." >&2; exit 2; }
done

# A cache of its own, so that the disk is made, and that what is committed harms nobody.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache
sample=$root/samples/DebianFromDisk
dotnet build -c Release -m:1 -v q "$sample"
program="dotnet $sample/bin/Release/net10.0/DebianFromDisk.dll --changes $work/changes.cow"
start=$(date +%s)
$program "$@" --export "$work/export"
echo "made in $(($(date +%s) - start)) s"
e2fsck -fn "$work/export/disk.img"

# await TEXT: reads the guest's console until the text stands there.
await() {
    local seen="" char
    while IFS= read -r -t 600 -N 1 char <&"${guest[0]}"; do
        seen+=$char
        if [[ $seen == *"$1" ]]; then
            printf '%s' "$seen"
            return
        fi
    done
    printf '%s\nThe guest did not print "%s".\n' "$seen" "$1" >&2
    exit 1
}

# boot COMMANDS...: logs in, runs them, and switches off. Each has to succeed.
boot() {
    local command pid
    coproc guest { exec $program 2>&1; }
    pid=$guest_PID
    exec 8>&"${guest[1]}" 9<&"${guest[0]}"
    guest[0]=9
    await 'login: '
    echo root >&8
    await '# '
    for command in "$@"; do
        # The console echoes the command, so what is waited for is not in it.
        echo "$command; echo mark''er \$? end''ing" >&8
        await ending | tee "$work/seen"
        grep -q 'marker 0 ending' "$work/seen" || { echo "$command: failed" >&2; exit 1; }
    done
    echo poweroff >&8
    wait "$pid"
    exec 8>&- 9<&-
}

boot 'systemctl is-system-running --wait' 'apt-get --version' 'test -z "$(dpkg --audit)"' 'ssh -V' 'findmnt / | grep -q /dev/vda' 'echo kept >/root/file; sync'
boot 'grep kept /root/file' 'systemd-analyze'
$program "$@" --commit
e2fsck -fn "$work/export/disk.img"
boot 'grep kept /root/file' 'rm /root/file'
boot 'test ! -e /root/file'
rm "$work/changes.cow"
boot 'grep kept /root/file'
echo "all is well"
