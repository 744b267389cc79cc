using System.Runtime.InteropServices;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Semantics.Float;

namespace Uml.Core.Cpu.Emit;

/// <summary>
/// Puts the application's floating-point settings aside while the guest runs: MXCSR, and the x87 unit's control, status and tag words
/// (Intel SDM vol. 1, 8.1.10 and 10.2.3). Meanwhile C# code has the defaults, not the application's: the interpreter's semantics compute
/// on the host's unit and count on rounding to nearest, with denormals, and so does what devices call.
/// </summary>
internal sealed unsafe class FloatingPointSwitch
{
    // SAFETY: both point to what the constructor emitted, which lasts as long as the engine that has the code memory and this switch. The
    // caller's settings lie on its stack; neither function keeps the pointer.
    private readonly delegate* unmanaged[SuppressGCTransition]<FloatingPointSettings*, void> _putAside;
    private readonly delegate* unmanaged[SuppressGCTransition]<FloatingPointSettings*, void> _giveBack;

    /// <param name="code">Writes the code.</param>
    /// <param name="memory">Where it goes.</param>
    public FloatingPointSwitch(HostAssembler code, CodeMemory memory)
    {
        const int settings = HostRegister.Rdi;
        code.Align(16);
        _putAside = (delegate* unmanaged[SuppressGCTransition]<FloatingPointSettings*, void>)memory.ToExecutable(code.Position);
        code.StoreX87Environment(settings, FloatingPointSettings.X87Offset);
        code.InitializeX87();
        code.StoreMxcsr(settings, FloatingPointSettings.MxcsrOffset);
        code.StoreImmediate(settings, FloatingPointSettings.DefaultOffset, (int)SseFloat.DefaultMxcsr, wide: false);
        code.LoadMxcsr(settings, FloatingPointSettings.DefaultOffset);
        code.Return();
        code.Align(16);
        _giveBack = (delegate* unmanaged[SuppressGCTransition]<FloatingPointSettings*, void>)memory.ToExecutable(code.Position);
        code.LoadX87Environment(settings, FloatingPointSettings.X87Offset);
        code.LoadMxcsr(settings, FloatingPointSettings.MxcsrOffset);
        code.Return();
    }

    /// <summary>Notes the thread's settings, and makes them the defaults.</summary>
    public void PutAside(FloatingPointSettings* settings) => _putAside(settings);

    /// <summary>Makes the thread's settings what they were.</summary>
    public void GiveBack(FloatingPointSettings* settings) => _giveBack(settings);
}

/// <summary>A thread's settings.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct FloatingPointSettings
{
    public const int X87Offset = 0, MxcsrOffset = 28, DefaultOffset = 32;

    /// <summary>What FNSTENV writes.</summary>
    public fixed uint X87[7];
    public uint Mxcsr;

    /// <summary>Room for the default, which LDMXCSR takes from memory only.</summary>
    public uint Default;
}
