using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Float;

/// <summary>Runs the model on a frame and compares FNSAVE images.</summary>
internal static class X87Comparison
{
    public const int ImageSize = 108;

    private const ulong ComparedFlags = 0x45;

    /// <summary>C1 is compared where it is the model's.</summary>
    private static readonly ushort ComparedStatus = ProcessorChoices.HasX87OfModel(HostProcessor.Vendor) ? (ushort)0xFFFF : (ushort)0xFDFF;

    public static void RequireHardware()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64 || !OperatingSystem.IsLinux())
        {
            Assert.Ignore("Compares with the real CPU: needs Linux on an x64 processor.");
        }
    }

    public static X87Frame RunModel(X87Form form, X87Frame input)
    {
        X87State state = default;
        X87.Restore(ref state, X87ImageFormat.Protected32, Bytes(ref input.Before));
        form.Model(ref state, ref input);
        X87.Save(ref state, X87ImageFormat.Protected32, Bytes(ref input.After));
        return input;
    }

    /// <summary>Everything but FIP, FCS, FOP, FDP and FDS (bytes 12 to 27), which processors keep differently.</summary>
    public static bool Same(X87Frame native, X87Frame model) =>
        SameHeader(native, model, ComparedStatus) && Bytes(ref native.After)[28..].SequenceEqual(Bytes(ref model.After)[28..])
        && native.Memory == model.Memory && native.Rax == model.Rax && (native.Flags & ComparedFlags) == (model.Flags & ComparedFlags);

    /// <summary>Control word, the masked status word and, if asked for, the tag word.</summary>
    public static bool SameHeader(X87Frame native, X87Frame model, ushort statusMask, bool tags = true)
    {
        Span<byte> cpu = Bytes(ref native.After);
        Span<byte> ours = Bytes(ref model.After);
        int status = BinaryPrimitives.ReadUInt16LittleEndian(cpu[4..]) ^ BinaryPrimitives.ReadUInt16LittleEndian(ours[4..]);
        return cpu[..4].SequenceEqual(ours[..4]) && (status & statusMask) == 0 && (!tags || cpu[8..12].SequenceEqual(ours[8..12]));
    }

    public static Float80 Register(X87Image image, int index)
    {
        ReadOnlySpan<byte> register = Bytes(ref image)[(28 + (10 * index))..];
        return new(BinaryPrimitives.ReadUInt16LittleEndian(register[8..]), BinaryPrimitives.ReadUInt64LittleEndian(register));
    }

    public static string Show(X87Image image, X87Frame frame)
    {
        ReadOnlySpan<byte> bytes = Bytes(ref image);
        string text = $"cw={BinaryPrimitives.ReadUInt16LittleEndian(bytes):X4} sw={BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]):X4} "
            + $"tw={BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]):X4} mem={frame.Memory:X32} rax={frame.Rax:X} f={frame.Flags & ComparedFlags:X}";
        for (int i = 0; i < 8; i++)
        {
            text += $" {Register(image, i)}";
        }

        return text;
    }

    private static Span<byte> Bytes(ref X87Image image) => MemoryMarshal.CreateSpan(ref image[0], ImageSize);
}
