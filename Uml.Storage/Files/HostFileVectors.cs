using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Storage.Blocks;
using Uml.Storage.Interop;

namespace Uml.Storage.Files;

/// <summary>One call of the host for all pieces of a request.</summary>
internal static unsafe class HostFileVectors
{
    /// <summary>Pieces of a call; a request with more takes several.</summary>
    private const int MaximumPieces = 64;

    /// <summary>Reads or writes at most once.</summary>
    /// <returns>Bytes, or -1 and an error.</returns>
    public static nint Transfer(int descriptor, long offset, BlockBuffers buffers, bool isWrite, int flags, out int error)
    {
        IoVector* vectors = stackalloc IoVector[MaximumPieces];
        Pins pins = default;
        int count = 0;
        int total = 0;
        try
        {
            for (int i = 0; count < MaximumPieces && total < buffers.Length; i++)
            {
                Memory<byte> piece = buffers[i];
                int length = Math.Min(piece.Length, buffers.Length - total);
                if (length != 0)
                {
                    pins[count] = piece.Pin();

                    // SAFETY: pinned until the call has returned, and as long as the piece says.
                    vectors[count] = new IoVector { Base = (byte*)pins[count].Pointer, Length = (nuint)length };
                    total += length;
                    count++;
                }
            }

            return Call(descriptor, vectors, count, offset, isWrite, flags, out error);
        }
        finally
        {
            for (int i = 0; i < count; i++)
            {
                pins[i].Dispose();
            }
        }
    }

    private static nint Call(int descriptor, IoVector* vectors, int count, long offset, bool isWrite, int flags, out int error)
    {
        while (true)
        {
            nint result = isWrite ? Uio.WriteVectors(descriptor, vectors, count, offset, flags) : Uio.ReadVectors(descriptor, vectors, count, offset, flags);
            error = result < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (error != Errno.Interrupted)
            {
                return result;
            }
        }
    }

    [InlineArray(MaximumPieces)]
    private struct Pins
    {
        private MemoryHandle _first;
    }
}
