using Uml.Core.Memory;

namespace Uml.Core.Boot.Protocols;

/// <summary>A module in guest memory.</summary>
/// <param name="Address">Its first byte.</param>
/// <param name="Length">Its size in bytes.</param>
/// <param name="CommandLine">The address of its string.</param>
internal readonly record struct LoadedModule(ulong Address, ulong Length, uint CommandLine);

/// <summary>Loads the initrd and the modules of a request, in this order.</summary>
internal static class ModuleLoader
{
    /// <summary>Loads them below 4 GiB.</summary>
    public static List<LoadedModule> Load(BootPlan plan, BootRequest request, BootStrings strings)
    {
        List<LoadedModule> loaded = [];
        if (request.Initrd is not null)
        {
            Add(new BootModule(request.Initrd), "initrd");
        }

        foreach (BootModule module in request.Modules)
        {
            Add(module, $"module {loaded.Count}");
        }

        return loaded;

        void Add(BootModule module, string what)
        {
            (ulong address, ulong length) = InitrdLoader.Load(plan, module.File, GuestMemoryLayout.HighRamStart, what);
            uint text = strings.Add(module.CommandLine, uint.MaxValue, $"command line of {what}");
            loaded.Add(new LoadedModule(address, length, text));
        }
    }
}
