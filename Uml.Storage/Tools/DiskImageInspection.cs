using Uml.Storage.Blocks;
using Uml.Storage.Files;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;

namespace Uml.Storage.Tools;

/// <summary>Looks at images.</summary>
internal static class DiskImageInspection
{
    /// <summary>"QFI\xFB", the start of qcow2 (docs/interop/qcow2 of QEMU).</summary>
    private static ReadOnlySpan<byte> Qcow2Magic => [0x51, 0x46, 0x49, 0xFB];

    public static DiskImageInfo Run(string path, DiskImageFormat format)
    {
        using HostFile file = HostFile.Open(path, new HostFileMode(IsReadOnly: true));
        return format switch
        {
            DiskImageFormat.Raw => GetRaw(file),
            DiskImageFormat.UmlCow => GetCow(file),
            _ => throw DiskImage.Unknown(format),
        };
    }

    public static DiskImageCheckResult Check(string path, DiskImageFormat format, bool repairs, CancellationToken cancellationToken)
    {
        using HostFile file = HostFile.Open(path, new HostFileMode(IsReadOnly: !repairs));
        FileLock.Take(file);
        return format switch
        {
            DiskImageFormat.Raw => new DiskImageCheckResult([]),
            DiskImageFormat.UmlCow => CheckCow(file, repairs, cancellationToken),
            _ => throw DiskImage.Unknown(format),
        };
    }

    private static DiskImageInfo GetRaw(HostFile file)
    {
        byte[] start = new byte[Math.Min(4, file.GetLength())];
        file.Run(HostFileOperation.Read, 0, start, 0);
        string? seems = start.AsSpan().SequenceEqual(Qcow2Magic) ? "qcow2" : UmlCowHeader.IsOne(start) ? "cow" : null;
        return Describe(file, DiskImageFormat.Raw, RoundUp(file.GetLength())) with
        {
            Notes = seems is null ? [] : [$"It begins like a file of the format {seems}. If it is one, and not a disk that a guest has written so, state that format."],
        };
    }

    private static DiskImageInfo GetCow(HostFile file)
    {
        UmlCowCheck check = UmlCowCheck.Run(file, CancellationToken.None);
        List<string> notes = [];
        DiskImageInfo? backing = null;
        try
        {
            backing = Run(FindBacking(file, check.Header), DiskImageFormat.Raw);
        }
        catch (IOException e)
        {
            notes.Add(e.Message);
        }

        return Describe(file, DiskImageFormat.UmlCow, RoundUp(check.Header.Size)) with
        {
            Version = check.Header.Version,
            ClusterSize = check.Header.SectorSize,
            OwnBytes = check.PresentSectors * check.Header.SectorSize,
            BackingPath = check.Header.BackingPath,
            Backing = backing,
            Notes = notes,
        };
    }

    private static DiskImageInfo Describe(HostFile file, DiskImageFormat format, long virtualSize) => new()
    {
        Path = file.Path,
        Format = format,
        VirtualSize = virtualSize,
        FileLength = file.GetLength(),
        SizeOnDisk = (long)file.Status.Blocks * BlockLimits.SectorSize,
    };

    private static DiskImageCheckResult CheckCow(HostFile file, bool repairs, CancellationToken cancellationToken)
    {
        UmlCowCheck check = UmlCowCheck.Run(file, cancellationToken);
        List<DiskImageProblem> problems = [];
        if (check.StrayBits != 0)
        {
            Add($"{check.StrayBits} bits of the bitmap stand for sectors behind the last, {check.Header.SectorCount - 1}: nothing reads them.", canRepair: true);
        }

        if (check.MissingBytes != 0)
        {
            Add($"The file has {file.GetLength()} bytes and was cut off: the last {check.MissingBytes} bytes up to sector {check.LastSector} are lost. "
                + "A repair has them read as zeroes.", canRepair: true);
        }

        try
        {
            FindBacking(file, check.Header);
        }
        catch (IOException e)
        {
            Add(e.Message, canRepair: false);
        }

        if (repairs && problems.Any(problem => problem.CanRepair))
        {
            check.Repair();
            problems = [.. problems.Select(problem => problem with { IsRepaired = problem.CanRepair })];
        }

        return new DiskImageCheckResult(problems);

        void Add(string message, bool canRepair) => problems.Add(new DiskImageProblem(message, canRepair, IsRepaired: false));
    }

    /// <returns>The path of the image below, which is there and fits.</returns>
    private static string FindBacking(HostFile file, UmlCowHeader header)
    {
        RawBlockDevice backing = UmlCowBacking.Open(file.Path, header, new UmlCowOptions { Locks = false }, isReadOnly: true);
        backing.File.Dispose();
        return backing.Path;
    }

    private static long RoundUp(long length) => (length + BlockLimits.SectorSize - 1) / BlockLimits.SectorSize * BlockLimits.SectorSize;
}
