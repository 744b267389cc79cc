using System.Buffers.Binary;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Execute;

/// <summary>
/// Moves the x87 state between the interpreter's representation and the host's unit, as an FNSAVE image (Intel SDM vol. 1, 8.1.10).
/// </summary>
// SAFETY: s is a live processor's state; the image is accessed through spans of it.
internal static unsafe class X87Images
{
    private const int ControlWord = 0, StatusWord = 4, TagWord = 8, Registers = 28, RegisterSize = 10;

    /// <summary>Whether x87 instructions may run on the host: no exception is unmasked or pending.</summary>
    public static bool IsMasked(CpuState* s) => s->X87.MasksExceptions && !s->X87.HasPendingException;

    /// <summary>
    /// Prepares the image for FRSTOR, without the pointers to the last instruction, which the host's unit overwrites by its own.
    /// </summary>
    public static void Store(CpuState* s)
    {
        Span<byte> image = s->Engine->X87Image;
        image[..Registers].Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(image[ControlWord..], s->X87.ControlWord);
        BinaryPrimitives.WriteUInt16LittleEndian(image[StatusWord..], s->X87.StatusWord);
        int tags = 0;
        for (int i = 0; i < 8; i++)
        {
            // Two bits each; FRSTOR distinguishes only empty and not empty.
            tags |= ((s->X87.ValidTags >> i) & 1) == 0 ? 3 << (i * 2) : 0;
            ref Float80 register = ref s->X87.St(i);
            Span<byte> slot = image.Slice(Registers + (i * RegisterSize), RegisterSize);
            BinaryPrimitives.WriteUInt64LittleEndian(slot, register.Significand);
            BinaryPrimitives.WriteUInt16LittleEndian(slot[8..], register.SignExponent);
        }

        BinaryPrimitives.WriteUInt16LittleEndian(image[TagWord..], (ushort)tags);
    }

    /// <summary>Takes over what FNSAVE has left in the image.</summary>
    public static void Load(CpuState* s)
    {
        ReadOnlySpan<byte> image = s->Engine->X87Image;
        s->Engine->X87Left = 0;
        s->X87.ControlWord = BinaryPrimitives.ReadUInt16LittleEndian(image[ControlWord..]);
        s->X87.StatusWord = BinaryPrimitives.ReadUInt16LittleEndian(image[StatusWord..]);
        int tags = BinaryPrimitives.ReadUInt16LittleEndian(image[TagWord..]);
        int valid = 0;
        for (int i = 0; i < 8; i++)
        {
            valid |= ((tags >> (i * 2)) & 3) != 3 ? 1 << i : 0;
            ref Float80 register = ref s->X87.St(i);
            ReadOnlySpan<byte> slot = image.Slice(Registers + (i * RegisterSize), RegisterSize);
            register.Significand = BinaryPrimitives.ReadUInt64LittleEndian(slot);
            register.SignExponent = BinaryPrimitives.ReadUInt16LittleEndian(slot[8..]);
        }

        s->X87.ValidTags = (byte)valid;
    }
}
