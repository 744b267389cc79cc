namespace Uml.Hosting.Debian;

/// <summary>
/// The script that completes the installation in the guest, as its init: preinst scripts, <c>dpkg --configure -a</c>, and settings. It tells on the
/// console what it does, and goes off.
/// </summary>
internal static class DebianSecondStage
{
    /// <summary>Where the script is in the guest, until it has run.</summary>
    public const string Path = "/var/lib/uml/second-stage";

    /// <summary>Begins the script's lines on the console: each package that is installed, and the end.</summary>
    public const string Installed = "uml-installed ", Done = "uml-done";

    // dpkg(1) --status-fd: "status: package: installed". What packages print is in the log, of which the end is shown when something fails.
    // base-passwd makes /etc/passwd, which other scripts name users of. awk is an alternative, which its package's script sets up.
    // The daemons of packages are not started (policy-rc.d), because there is no system to start them in.
    // Units that only make a start longer: snapshots of LVM, logs of crashed firmware, virtual consoles, which the machine does not have, and timers that
    // fetch package lists. ssh is started by its first connection.
    public const string Script = """
        #!/bin/sh
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
        log=/run/second-stage.log

        # A file that is open cannot be deleted for good, and then the disk cannot be made read-only.
        if [ "$0" != /run/second-stage ]; then
            mount -t tmpfs tmpfs /run
            cp "$0" /run/second-stage
            exec sh /run/second-stage
        fi

        power_off() {
            echo o >/proc/sysrq-trigger
            while :; do sleep 1; done
        }

        fail() {
            echo "uml-failed $*"
            tail -n 20 $log
            sync
            power_off
        }

        mount -t tmpfs tmpfs /tmp
        mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
        cd /
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        ln -sf mawk /usr/bin/awk
        ldconfig

        prepare() {
            for script in /var/lib/dpkg/info/"$1".preinst /var/lib/dpkg/info/"$1":*.preinst; do
                [ -x "$script" ] || continue
                DPKG_MAINTSCRIPT_PACKAGE=$1 DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_ARCH=amd64 DPKG_ROOT= DPKG_ADMINDIR=/var/lib/dpkg \
                    "$script" install >>$log 2>&1 </dev/null || fail "the preinst script of $1"
            done
        }
        prepare base-passwd
        for package in $(sed -n 's/^Package: //p' /var/lib/dpkg/status); do
            [ "$package" = base-passwd ] || prepare "$package"
        done

        configure() {
            dpkg --force-depends,unsafe-io,confold --status-fd 3 --configure "$@" 3>&1 >>$log 2>&1 </dev/null |
                sed -un 's/^status: \(.*\): installed$/uml-installed \1/p'
        }
        configure base-passwd base-files
        configure -a
        [ -z "$(dpkg --audit)" ] || fail "$(dpkg --audit)"
        rm /usr/sbin/policy-rc.d

        . /etc/os-release
        cat >/etc/apt/sources.list <<end
        deb http://deb.debian.org/debian $VERSION_CODENAME main
        deb http://deb.debian.org/debian $VERSION_CODENAME-updates main
        deb http://deb.debian.org/debian-security $VERSION_CODENAME-security main
        end
        echo "LABEL=$(cat /var/lib/uml/label) / ext4 errors=remount-ro 0 1" >/etc/fstab
        mv /var/lib/uml/hostname /etc/hostname
        printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost ip6-loopback\n' "$(cat /etc/hostname)" >/etc/hosts
        passwd -d root >>$log 2>&1 || fail "root's password"
        systemctl -q disable getty@tty1.service e2scrub_reap.service e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer systemd-pstore.service >>$log 2>&1
        systemctl -q mask proc-sys-fs-binfmt_misc.automount >>$log 2>&1
        if [ -e /lib/systemd/system/ssh.socket ]; then
            systemctl -q disable ssh.service >>$log 2>&1
            systemctl -q enable ssh.socket >>$log 2>&1
        fi
        # Each disk gets an identity of its own when it starts first.
        : >/etc/machine-id
        rm -f /var/lib/dbus/machine-id
        rm -rf /var/lib/uml /var/log/dpkg.log /var/log/alternatives.log
        kill -9 -1 2>/dev/null
        sync
        mount -o remount,ro / 2>>$log || fail "the disk cannot be made read-only"
        echo uml-done
        power_off

        """;
}
