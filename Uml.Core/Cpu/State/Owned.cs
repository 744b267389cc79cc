using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.State;

/// <summary>
/// Handles to the managed parts of a processor, which slow paths read from <see cref="EngineState"/>; each part's type knows its field.
/// </summary>
internal sealed class Owned : IDisposable
{
    private readonly List<GCHandle> _handles = [];

    /// <summary>Makes a handle that is valid until this is disposed. It does not keep the part alive: the processor does.</summary>
    public nint Add(object part)
    {
        GCHandle handle = GCHandle.Alloc(part, GCHandleType.Weak);
        _handles.Add(handle);
        return GCHandle.ToIntPtr(handle);
    }

    // SAFETY: handles live as long as the memory they stand in, each is read as the type it was made for, and the machine keeps its
    // processors, and those their parts, alive while they run.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Get<T>(nint handle) where T : class => Unsafe.As<T>(GCHandle.FromIntPtr(handle).Target!);

    public void Dispose()
    {
        _handles.ForEach(static handle => handle.Free());
        _handles.Clear();
    }
}
