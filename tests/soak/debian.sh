#!/usr/bin/env bash
# Makes a Debian disk, boots it twice, and looks at what came of it: whether systemd says that all is well, whether apt runs and dpkg is content,
# whether a file is still there after a reboot, whether changes can be committed and discarded, and what e2fsck says about the image. Takes some
# minutes.
#
#   tests/soak/debian.sh [options of DebianFromDisk, such as --size 8G]
#
# Needed (Debian): apt-get install e2fsprogs expect
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
for each in expect e2fsck dotnet; do
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

# boot COMMANDS...: logs in, runs them, and switches off. Each has to print ok.
boot() {
    EXPECT_PROGRAM="$program" expect -f - "$@" <<'script'
set timeout 600
set stty_init "-echo"
eval spawn $env(EXPECT_PROGRAM)
proc await {text} {
    expect -- $text {} timeout { puts "\nno '$text' in time"; exit 1 } eof { puts "\nended before '$text'"; exit 1 }
}
await "login: "
send "root\r"
await "# "
foreach command $argv {
    send "$command && echo o''k || echo f''ailed\r"
    expect {
        "ok\r" {}
        "failed\r" { puts "\n$command: failed"; exit 1 }
        timeout { puts "\n$command: no end"; exit 1 }
        eof { exit 1 }
    }
    await "# "
}
send "poweroff\r"
expect eof
lassign [wait] pid spawn_id os status
exit $status
script
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
