#!/usr/bin/env bash
# Runs this host's own programs in a guest and compares what they print with what they print here: openssl, python3, perl, node, gcc and
# an i386 binary, then the verifying methods of stress-ng. Takes some minutes; prints what differs, fails if anything does. Translated code
# is checked, and a translation that the checker refuses ends the run.
#
#   tests/soak/programs.sh [options of BootLinux, such as --engine Interpreter or --cpu X64V2]
#
# Needed (Debian, x86-64):
#   apt-get install stress-ng openssl nodejs python3 perl gcc libc6-dev busybox-static cpio
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
for each in stress-ng openssl node python3 perl gcc busybox cpio; do
    command -v "$each" >/dev/null || { echo "There is no $each; see the first lines of this script." >&2; exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree"/{bin,dev,proc,sys,tmp,etc/ssl,usr/bin,usr/include,usr/share,usr/lib}
libraries=/usr/lib/x86_64-linux-gnu
python=$(PATH=/usr/bin:/bin readlink -f /usr/bin/python3)

. "$here/tree.bash"
add /usr/bin/{stress-ng,openssl,node,perl,gcc,as,ld,md5sum} /bin/bash "$python" "$(gcc -print-prog-name=cc1)" "$(gcc -print-prog-name=collect2)"
cp -Lf "$python" "$tree/usr/bin/python3"
compiler=$(dirname "$(gcc -print-libgcc-file-name)")
mkdir -p "$tree$compiler" "$tree$libraries" "$tree/lib/x86_64-linux-gnu"
cp -r "$compiler"/include "$compiler"/*.o "$compiler"/libgcc.a "$compiler"/libgcc_s.so* "$tree$compiler"/
cp "$compiler"/liblto_plugin.so "$tree$compiler"/ 2>/dev/null || true
cp -r /usr/include/. "$tree/usr/include/"
cp -L $libraries/{crt1.o,crti.o,crtn.o,Scrt1.o,libc.so,libc_nonshared.a,libm.so,libm-*.a} "$tree$libraries"/
for each in libc.so.6 libm.so.6 libmvec.so.1; do cp -L "/lib/x86_64-linux-gnu/$each" "$tree/lib/x86_64-linux-gnu/"; done
cp -r "/usr/lib/$(basename "$python")" "$tree/usr/lib/"
rm -rf "$tree/usr/lib/$(basename "$python")"/{test,idlelib,tkinter,ensurepip,lib2to3}
cp -r /usr/share/perl "$tree/usr/share/"
cp -r $libraries/perl* "$tree$libraries"/
[ ! -d /usr/share/nodejs ] || cp -rL /usr/share/nodejs "$tree/usr/share/"
cp /etc/ssl/openssl.cnf "$tree/etc/ssl/"
cp "$(command -v busybox)" "$tree/bin/busybox"
ln -s busybox "$tree/bin/sh"
gcc -m32 -O2 -static -nostdlib -fno-pic -fno-stack-protector -o "$tree/bin/i386" "$here/i386.c"
cp "$here/programs.bash" "$here/libm.c" "$tree/bin/"

# Not every host runs i386 programs: there, what the program comes to is told by the same for 64 bits.
mkdir "$work/host"
cp "$tree/bin/i386" "$here/libm.c" "$work/host/"
"$work/host/i386" >/dev/null 2>&1 ||
    gcc -m64 -mfpmath=387 -O2 -static -nostdlib -fno-pic -fno-stack-protector -o "$work/host/i386" "$here/i386.c"
cp "$here/init" "$tree/init"
(cd "$tree" && find . | cpio -o -H newc --quiet) >"$work/initrd"

mkdir "$work/home"
(cd "$work/home" && env -i PATH=/usr/bin:/bin HOME="$work/home" PROGRAMS="$work/host" bash "$here/programs.bash") >"$work/expected" 2>&1
dotnet build -c Release -v q -o "$work/program" "$root/samples/BootLinux" >&2
"$work/program/BootLinux" --check Stop --mem 2G --initrd "$work/initrd" --append "quiet panic=-1" "$@" | tr -d '\r' >"$work/console" || true
sed -n '/^PROGRAMS-BEGIN$/,/^PROGRAMS-END$/p' "$work/console" | sed '1d;$d' >"$work/actual"

status=0
diff "$work/expected" "$work/actual" || status=1
grep '^FAILED' "$work/console" && status=1
grep -q '^STRESS-END' "$work/console" || { echo "The guest did not come to its end:"; tail -20 "$work/console"; status=1; }
echo "$(wc -l <"$work/expected") lines of programs compared, $(grep -c '^PASSED' "$work/console" || true) methods of stress-ng passed"
exit $status
