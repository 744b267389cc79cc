using Uml.Fuzz.Running;
using Uml.Storage.Images;
using Uml.Storage.Tests.Images;

namespace Uml.Fuzz.Packages;

/// <summary>Attacks the initramfs builder, whose archive the kernel reads as root: what it does not refuse it has to write right.</summary>
internal static class InitramfsFuzz
{
    private static readonly string[] _parts =
    [
        "a", "b", "bin", "init", "TRAILER!!!", ".", "..", "", " ", "\0", "a\0b", "\n", "ä", "\ud800", new string('n', 255), new string('n', 2000), "070701",
    ];

    public static void Run(FuzzRun run) => run.ForEachCase(test =>
    {
        FuzzRandom random = test.Random;
        InitramfsBuilder builder = new() { ModificationTime = (uint)random.Nasty() };
        for (int i = random.Below(12); i > 0; i--)
        {
            try
            {
                Add(random, builder);
                test.Count("added");
            }
            catch (ArgumentException)
            {
                test.Count("refused");
            }
        }

        Check(builder);
    });

    private static void Add(FuzzRandom random, InitramfsBuilder builder)
    {
        string path = string.Join('/', Enumerable.Range(0, 1 + random.Below(4)).Select(_ => random.Pick(_parts)));
        InitramfsAttributes? attributes = random.OneIn(2) ? null : new InitramfsAttributes((int)random.Nasty());
        switch (random.Below(5))
        {
            case 0:
                builder.AddDirectory(path, attributes);
                break;
            case 1:
                builder.AddFile(path, random.Bytes(random.Below(100)), attributes);
                break;
            case 2:
                builder.AddText(path, random.Pick(_parts), attributes);
                break;
            case 3:
                builder.AddSymbolicLink(path, random.Pick(_parts), attributes);
                break;
            default:
                builder.AddDeviceNode(path, (DeviceNodeType)random.Below(3), (uint)random.Nasty(), (uint)random.Nasty(), attributes);
                break;
        }
    }

    private static void Check(InitramfsBuilder builder)
    {
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach (CpioEntry entry in CpioReader.Read(builder.Build()))
        {
            int slash = entry.Name.LastIndexOf('/');
            if (!seen.Add(entry.Name) || (slash > 0 && !seen.Contains(entry.Name[..slash])) || entry.Name.Split('/').Any(part => part is "" or "." or ".."))
            {
                throw new InvalidOperationException($"The archive has '{entry.Name}' where it cannot be.");
            }
        }

        if (seen.Count != builder.Paths.Count)
        {
            throw new InvalidOperationException($"{builder.Paths.Count} paths were added, the archive has {seen.Count}.");
        }
    }
}
