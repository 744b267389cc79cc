using System.Buffers.Binary;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class X87
{
    /// <summary>Bytes of the FXSAVE area that belong to the x87: the header without MXCSR, then eight 16-byte slots from offset 32.</summary>
    public const int FxImageSize = 160;

    private const int FxRegisters = 32;

    /// <summary>Writes the x87 part of an FXSAVE area (SDM vol. 1, table 10-2); MXCSR at offsets 24 to 31 is not touched.</summary>
    /// <remarks><paramref name="wide"/> is REX.W: 64-bit pointers without selectors.</remarks>
    public static void StoreFxImage(ref X87State state, bool wide, Span<byte> image)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(image, state.ControlWord);
        BinaryPrimitives.WriteUInt16LittleEndian(image[2..], state.StatusWord);
        image[4] = state.ValidTags;
        image[5] = 0;
        BinaryPrimitives.WriteUInt16LittleEndian(image[6..], (ushort)(state.LastOpcode & 0x7FF));
        if (wide)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(image[8..], state.InstructionPointer);
            BinaryPrimitives.WriteUInt64LittleEndian(image[16..], state.DataPointer);
        }
        else
        {
            BinaryPrimitives.WriteUInt64LittleEndian(image[8..], (uint)state.InstructionPointer | ((ulong)state.CodeSegment << 32));
            BinaryPrimitives.WriteUInt64LittleEndian(image[16..], (uint)state.DataPointer | ((ulong)state.DataSegment << 32));
        }

        for (int i = 0; i < 8; i++)
        {
            Span<byte> slot = image.Slice(FxRegisters + (16 * i), 16);
            BinaryPrimitives.WriteUInt64LittleEndian(slot, state.St(i).Significand);
            BinaryPrimitives.WriteUInt64LittleEndian(slot[8..], state.St(i).SignExponent);
        }
    }

    /// <summary>Reads the x87 part of an FXRSTOR area; reserved bits are ignored.</summary>
    /// <remarks><paramref name="wide"/> is REX.W: 64-bit pointers; the selectors become zero.</remarks>
    public static void LoadFxImage(ref X87State state, bool wide, ReadOnlySpan<byte> image)
    {
        state.StatusWord = BinaryPrimitives.ReadUInt16LittleEndian(image[2..]);
        state.ValidTags = image[4];
        ulong instruction = BinaryPrimitives.ReadUInt64LittleEndian(image[8..]);
        ulong data = BinaryPrimitives.ReadUInt64LittleEndian(image[16..]);
        state.InstructionPointer = wide ? instruction : (uint)instruction;
        state.CodeSegment = wide ? (ushort)0 : (ushort)(instruction >> 32);
        state.DataPointer = wide ? data : (uint)data;
        state.DataSegment = wide ? (ushort)0 : (ushort)(data >> 32);
        state.LastOpcode = (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(image[6..]) & 0x7FF);
        LoadControlWord(ref state, BinaryPrimitives.ReadUInt16LittleEndian(image));
        for (int i = 0; i < 8; i++)
        {
            ReadOnlySpan<byte> slot = image.Slice(FxRegisters + (16 * i), 16);
            ulong significand = BinaryPrimitives.ReadUInt64LittleEndian(slot);
            state.St(i) = new Float80(BinaryPrimitives.ReadUInt16LittleEndian(slot[8..]), significand);
        }
    }
}
