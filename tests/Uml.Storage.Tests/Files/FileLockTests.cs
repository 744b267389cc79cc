using System.Runtime.InteropServices;
using Uml.Storage.Files;
using Uml.Storage.Formats.Raw;

namespace Uml.Storage.Tests.Files;

public sealed partial class FileLockTests
{
    [Test]
    public async Task A_closed_file_is_not_in_use_by_a_process_that_is_being_started()
    {
        using TemporaryFolder folder = new();
        RawBlockDevice.Create(folder["disk"], 4096);
        int copy;
        using (HostFile file = HostFile.Open(folder["disk"], new HostFileMode()))
        {
            FileLock.Take(file);

            // What a child has between fork and exec.
            copy = Duplicate(file.Descriptor);
        }

        try
        {
            await using RawBlockDevice again = RawBlockDevice.Open(folder["disk"]);
        }
        finally
        {
            Assert.That(Close(copy), Is.Zero);
        }
    }

    [LibraryImport("libc", EntryPoint = "dup")]
    private static partial int Duplicate(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
