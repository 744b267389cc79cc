using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Uml.Hosting.Images;

namespace Uml.Hosting.Tests.Images;

[TestFixture]
[SupportedOSPlatform("linux")]
public sealed class PortProgramTests
{
    /// <summary>Without a number it must not touch a port; with one it would, on a host that lets it, so that is for guests.</summary>
    [TestCase("")]
    [TestCase("x")]
    [TestCase("1x")]
    [TestCase("1 2")]
    public async Task Without_a_number_it_fails(string arguments)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            Assert.Ignore("The program is for x86-64 Linux.");
        }

        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        await File.WriteAllBytesAsync(path, PortProgram.Create(0xF4, 4));
        try
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
            using Process process = Process.Start(path, arguments);
            await process.WaitForExitAsync();
            Assert.That(process.ExitCode, Is.EqualTo(1));
        }
        finally
        {
            File.Delete(path);
        }
    }
}
