using System.Runtime.InteropServices;
using Uml.Core.Cpu.Time;

namespace Uml.Core.Cpu.State;

/// <summary>How translated code makes the guest's time-stamp counter of the host's. Written by <see cref="TimeStampCounter"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TimeStampScale
{
    /// <summary>The host's counter when the guest's was <see cref="Value"/>.</summary>
    public ulong Base;

    /// <summary>From so many ticks of the host's after <see cref="Base"/> on, the guest's has to be asked for. Zero: always.</summary>
    public ulong Limit;

    /// <summary>Ticks of the guest's counter in one of the host's, in units of 2^-32.</summary>
    public ulong Multiplier;

    /// <summary>The guest's counter, before its IA32_TSC_ADJUST.</summary>
    public ulong Value;

    /// <summary>The most that translated code has made of the host's counter when it is <paramref name="counter"/>.</summary>
    public readonly ulong At(ulong counter) =>
        Value + (((ulong)Math.Clamp((long)(counter - Base), 0, (long)Limit) * Multiplier) >> 32);
}
