namespace Uml.Guest.Tests;

/// <summary>User Mode Linux itself, as the peer of our copy-on-write files.</summary>
internal static class UserModeLinux
{
    private const string Package = "user-mode-linux", Program = "linux.uml";

    /// <summary>The script that a machine runs; in the root of its file system.</summary>
    public const string TaskFile = "task";

    /// <summary>Makes a file system that User Mode Linux boots from: busybox, and an init that runs what <see cref="TaskFile"/> says.</summary>
    /// <param name="folder">Where the image "base" is made.</param>
    /// <param name="task">The task.</param>
    public static async Task MakeRootAsync(TemporaryFolder folder, string task)
    {
        string busybox = await GuestAssets.Cache.GetBusyBoxAsync();
        string tree = folder["tree"];
        foreach (string name in new[] { "bin", "dev", "proc", "mnt" })
        {
            Directory.CreateDirectory(Path.Combine(tree, name));
        }

        File.Copy(busybox, Path.Combine(tree, "bin/busybox"));
        await File.WriteAllTextAsync(Path.Combine(tree, TaskFile), task);
        string init = Path.Combine(tree, "init");
        await File.WriteAllTextAsync(init, """
            #!/bin/busybox sh
            /bin/busybox mount -t proc proc /proc
            /bin/busybox mount -o remount,rw /
            /bin/busybox --install -s /bin
            export PATH=/bin
            sh /task
            mount -o remount,ro / && echo the end
            poweroff -f
            """);
        PeerTool.Run("coreutils", "chmod", "755", init);
        PeerTool.Run("e2fsprogs", "mke2fs", "-q", "-t", "ext4", "-d", tree, folder["base"], "32M");
    }

    /// <summary>Boots from a copy-on-write file over "base"; the test is skipped where User Mode Linux does not run.</summary>
    /// <returns>What it wrote to its console.</returns>
    public static string Run(TemporaryFolder folder, string cow)
    {
        if (File.ReadAllText("/proc/cpuinfo").Contains("amx_tile", StringComparison.Ordinal))
        {
            Assert.Ignore("User Mode Linux of Debian does not run on processors with AMX: it panics with its first process.");
        }

        (_, string output) = PeerTool.TryRun(
            Package,
            Program,
            "mem=128M",
            $"ubd0={folder[cow]},{folder["base"]}",
            "root=/dev/ubda",
            "rootfstype=ext4",
            "init=/init",
            "panic=1",
            "con=null",
            "con0=null,fd:1",
            $"uml_dir={folder["uml"]}");
        Assert.That(output, Does.Contain("the end"), "User Mode Linux came to its end");
        return output;
    }
}
