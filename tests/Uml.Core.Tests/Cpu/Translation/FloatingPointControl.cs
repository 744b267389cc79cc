using Uml.Core.Cpu.CodeCache;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>MXCSR and the x87 control word of the calling thread, for which .NET has nothing (Intel SDM vol. 1, 8.1.5 and 10.2.3).</summary>
internal sealed unsafe class FloatingPointControl : IDisposable
{
    /// <summary>Flush to zero, denormals are zero, round up, and a few sticky flags: what signal processing may choose.</summary>
    public const uint UnusualMxcsr = 0xDFF1;

    /// <summary>Single precision, round down.</summary>
    public const ushort UnusualControlWord = 0x047F;

    private readonly CodeMemory _memory = new(4096);
    private readonly delegate* unmanaged<Words*, void> _read;
    private readonly delegate* unmanaged<Words*, void> _write;
    private readonly delegate* unmanaged<double*, void> _add;

    public FloatingPointControl()
    {
        byte* position = _memory.Writable;
        _read = (delegate* unmanaged<Words*, void>)Write(ref position, [0x0F, 0xAE, 0x1F, 0xD9, 0x7F, 0x04, 0xC3]); // stmxcsr [rdi]; fnstcw [rdi+4]; ret
        _write = (delegate* unmanaged<Words*, void>)Write(ref position, [0x0F, 0xAE, 0x17, 0xD9, 0x6F, 0x04, 0xC3]); // ldmxcsr [rdi]; fldcw [rdi+4]; ret

        // fld1; fld1; faddp; fadd [rdi]; fstp [rdi]; ret
        _add = (delegate* unmanaged<double*, void>)Write(ref position, [0xD9, 0xE8, 0xD9, 0xE8, 0xDE, 0xC1, 0xDC, 0x07, 0xDD, 0x1F, 0xC3]);
    }

    public Words Current
    {
        get
        {
            Words words;
            _read(&words);
            return words;
        }
        set => _write(&value);
    }

    /// <summary>What C# code and libraries count on (System V ABI for x86-64, 3.2.1).</summary>
    public static Words Default => new(0x1F80, 0x037F);

    /// <summary>Adds 2 by x87 instructions, as a native library may, which needs an empty stack of registers.</summary>
    public double AddTwo(double value)
    {
        _add(&value);
        return value;
    }

    /// <summary>Does something under other settings.</summary>
    /// <returns>The settings at the end of it.</returns>
    public Words With(Words words, Action action)
    {
        Words before = Current;
        try
        {
            Current = words;
            action();
            return Current;
        }
        finally
        {
            Current = before;
        }
    }

    public void Dispose() => _memory.Dispose();

    /// <returns>Where the bytes are executed.</returns>
    private byte* Write(ref byte* position, ReadOnlySpan<byte> bytes)
    {
        byte* start = _memory.ToExecutable(position);
        bytes.CopyTo(new Span<byte>(position, bytes.Length));
        position += bytes.Length;
        return start;
    }

    public readonly record struct Words(uint Mxcsr, ushort ControlWord);
}
