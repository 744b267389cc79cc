using Uml.Storage.Blocks;
using Uml.Storage.Files;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;

namespace Uml.Storage.Tools;

/// <summary>Looks at images.</summary>
internal static class DiskImageInspection
{
    public static DiskImageInfo Run(string path, DiskImageFormat format, int depth = 0)
    {
        using HostFile file = HostFile.Open(path, new HostFileMode(IsReadOnly: true));
        return format switch
        {
            DiskImageFormat.Raw => GetRaw(file),
            DiskImageFormat.UmlCow => GetCow(file),
            DiskImageFormat.Qcow2 => GetQcow2(file, depth),
            _ => throw DiskImage.Unknown(format),
        };
    }

    public static DiskImageCheckResult Check(string path, DiskImageFormat format, bool repairs, CancellationToken cancellationToken)
    {
        if (format == DiskImageFormat.Qcow2)
        {
            return CheckQcow2(path, repairs);
        }

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
        string? seems = Qcow2Header.IsOne(start) ? "qcow2" : UmlCowHeader.IsOne(start) ? "cow" : null;
        return Describe(file, DiskImageFormat.Raw, RoundUp(file.GetLength())) with
        {
            Notes = seems is null ? [] : [$"'{file.Path}' begins like a file of the format {seems}. If it is one, and not a disk that a guest has written so, state that format."],
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

    private static DiskImageInfo GetQcow2(HostFile file, int depth)
    {
        Qcow2Info info = Qcow2BlockDevice.GetInfo(file.Path);
        List<string> notes = [];
        if (info.IsCorrupt)
        {
            notes.Add("It was found damaged and marked so: check and repair it.");
        }

        return Describe(file, DiskImageFormat.Qcow2, info.Length) with
        {
            Version = info.Version,
            ClusterSize = info.ClusterSize,
            IsDirty = info.IsDirty,
            BackingPath = info.BackingPath,
            Backing = info.BackingPath is null ? null : FindBelow(file.Path, info, depth, notes),
            Snapshots = [.. info.Snapshots.Select(snapshot => $"{snapshot.Id} {snapshot.Name}")],
            Notes = notes,
        };
    }

    private static DiskImageInfo? FindBelow(string path, Qcow2Info info, int depth, List<string> notes)
    {
        if (!DiskImageFormatName.TryParse(info.BackingFormat, out DiskImageFormat format))
        {
            notes.Add(info.BackingFormat is null ? "It does not say of which format the image below it is; that has to be stated when it is opened."
                : $"The image below it is of the format '{info.BackingFormat}', which is not supported.");
            return null;
        }

        // What a circle of images ends with.
        if (depth == Qcow2Backing.MaximumDepth)
        {
            notes.Add($"There are more than {Qcow2Backing.MaximumDepth} images below one another, in a circle perhaps.");
            return null;
        }

        try
        {
            return Run(Qcow2Backing.Resolve(path, info.BackingPath!), format, depth + 1);
        }
        catch (IOException e)
        {
            notes.Add(e.Message);
            return null;
        }
    }

    private static DiskImageCheckResult CheckQcow2(string path, bool repairs)
    {
        Qcow2CheckResult found = repairs ? Qcow2Check.Repair(path) : Qcow2Check.Run(path);
        if (found.IsClean)
        {
            return new DiskImageCheckResult([]);
        }

        IReadOnlyList<string> left = repairs ? Qcow2Check.Run(path).Messages : found.Messages;
        return new DiskImageCheckResult(
        [
            new DiskImageProblem($"{found.Leaks} leaked clusters and {found.Corruptions} corruptions.", CanRepair: true, IsRepaired: left.Count == 0),
            .. found.Messages.Select(message => new DiskImageProblem(message, CanRepair: true, IsRepaired: !left.Contains(message))),
        ]);
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
