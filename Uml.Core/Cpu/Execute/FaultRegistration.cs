using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Execute;

/// <summary>An engine's slot in the table of the <see cref="FaultHandler"/>.</summary>
internal sealed unsafe class FaultRegistration : IDisposable
{
    private readonly FaultSlot* _slot = FaultHandler.Claim();
    private bool _isReleased;

    /// <param name="memory">The engine's code.</param>
    /// <param name="state">The state that it runs with.</param>
    /// <param name="recovery">The recovery stub, where execution continues after a fault; in the executable mapping.</param>
    public FaultRegistration(CodeMemory memory, CpuState* state, byte* recovery)
    {
        if (_slot == null)
        {
            return;
        }

        _slot->Signal = 0;
        _slot->Code = memory.Executable;
        _slot->CodeLength = memory.Size;
        _slot->State = (byte*)state;
        _slot->StateLength = (ulong)sizeof(ProcessorMemory);
        _slot->Recovery = recovery;
        Volatile.Write(ref _slot->Version, _slot->Version + 1);
    }

    // SAFETY: slots are never unmapped, and only the owner writes to one until it gives it back.
    ~FaultRegistration() => Release();

    /// <summary>Whether faults of the engine are caught at all.</summary>
    public bool IsActive => _slot != null;

    /// <summary>The fault; its signal is 0 while there was none. Only when <see cref="IsActive"/>.</summary>
    public ref readonly FaultSlot Fault => ref *_slot;

    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        if (_slot != null && !_isReleased)
        {
            _isReleased = true;
            Volatile.Write(ref _slot->Version, _slot->Version + 1);
            Volatile.Write(ref _slot->Claimed, 0);
        }
    }
}
