using System.Diagnostics.CodeAnalysis;

namespace Uml.Storage.Tests.Formats.Qcow2;

/// <summary>QEMU's tools, for images in a folder.</summary>
internal static class QemuImage
{
    public static string Run(params string[] arguments) => PeerTool.Run("qemu-utils", "qemu-img", arguments);

    [SuppressMessage("Usage", "CA2208", Justification = "A command of another program.")]
    public static string Io(string path, params string[] commands) =>
        PeerTool.Run("qemu-utils", "qemu-io", [.. commands.SelectMany(command => new[] { "-c", command }), "-f", "qcow2", path]);

    /// <summary>Asserts that there is nothing wrong, not even a leak.</summary>
    public static void AssertClean(string path)
    {
        (int code, string output) = PeerTool.TryRun("qemu-utils", "qemu-img", "check", "-f", "qcow2", path);
        Assert.That(code, Is.Zero, output);
    }

    /// <summary>Asserts that there is nothing wrong but leaks.</summary>
    public static void AssertUsable(string path)
    {
        (int code, string output) = PeerTool.TryRun("qemu-utils", "qemu-img", "check", "-f", "qcow2", path);
        Assert.That(code, Is.AnyOf(0, 3), output);
    }

    /// <summary>Asserts that the disk of an image has these bytes.</summary>
    public static void AssertContents(string path, byte[] contents, string copy)
    {
        File.WriteAllBytes(copy, contents);
        Run("compare", "-f", "qcow2", "-F", "raw", path, copy);
    }
}
