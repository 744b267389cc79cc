using System.Buffers;
using System.Runtime.InteropServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Files;

/// <summary>Memory that direct access to a file (O_DIRECT) can use, where that of a request cannot be.</summary>
internal sealed unsafe class AlignedBuffer : MemoryManager<byte>
{
    /// <summary>What every host's storage is content with.</summary>
    public const int Alignment = 4096;

    private readonly int _length;
    private byte* _pointer;

    // SAFETY: freed by Dispose only, behind the last use: the owner disposes it when its request has ended.
    public AlignedBuffer(int length)
    {
        _length = length;
        _pointer = (byte*)NativeMemory.AlignedAlloc((nuint)length, Alignment);
    }

    /// <summary>Whether all pieces begin and end where direct access wants them to: at sectors of 512 bytes, which Linux asks of memory at most.</summary>
    public static bool IsAligned(BlockBuffers buffers)
    {
        for (int i = 0; i < buffers.Count; i++)
        {
            using MemoryHandle pin = buffers[i].Pin();
            if (((nuint)pin.Pointer & (BlockLimits.SectorSize - 1)) != 0 || buffers[i].Length % BlockLimits.SectorSize != 0)
            {
                return false;
            }
        }

        return true;
    }

    public override Span<byte> GetSpan() => new(_pointer, _length);

    public override MemoryHandle Pin(int elementIndex = 0) => new(_pointer + elementIndex);

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        NativeMemory.AlignedFree(_pointer);
        _pointer = null;
    }
}
