using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.State;

/// <summary>
/// A managed part of a processor that slow paths find through the processor's memory: a handle to it stands in <see cref="EngineState"/>, and
/// the part's own type knows which.
/// </summary>
internal sealed class Owned : IDisposable
{
    private readonly List<GCHandle> _handles = [];

    /// <summary>Makes a handle that lasts until this is disposed. It does not keep the part alive: the processor does.</summary>
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
