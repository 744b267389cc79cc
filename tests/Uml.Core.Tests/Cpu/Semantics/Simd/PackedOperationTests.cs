using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Uml.Core.Cpu.Semantics.Simd;
using Binary = System.Func<System.Runtime.Intrinsics.Vector128<byte>, System.Runtime.Intrinsics.Vector128<byte>, System.Runtime.Intrinsics.Vector128<byte>>;

namespace Uml.Core.Tests.Cpu.Semantics.Simd;

/// <summary>The portable operations against the host's instructions, where the host has them.</summary>
public class PackedOperationTests
{
    private static IEnumerable<TestCaseData> Operations()
    {
        if (!Sse42.IsSupported)
        {
            yield break;
        }

        foreach ((string name, Binary operation, Binary host) in Arithmetic().Concat(Multiplication()).Concat(Shuffles()).Concat(Widening()))
        {
            yield return new TestCaseData(operation, host).SetArgDisplayNames(name);
        }
    }

    private static IEnumerable<(string Name, Binary Operation, Binary Host)> Arithmetic() =>
    [
        ("PADDB", PackedAdd<byte>.Apply, Sse2.Add),
        ("PADDW", PackedAdd<ushort>.Apply, (a, b) => Sse2.Add(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PADDD", PackedAdd<uint>.Apply, (a, b) => Sse2.Add(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PADDQ", PackedAdd<ulong>.Apply, (a, b) => Sse2.Add(a.AsInt64(), b.AsInt64()).AsByte()),
        ("PSUBB", PackedSubtract<byte>.Apply, Sse2.Subtract),
        ("PSUBW", PackedSubtract<ushort>.Apply, (a, b) => Sse2.Subtract(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PSUBD", PackedSubtract<uint>.Apply, (a, b) => Sse2.Subtract(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PSUBQ", PackedSubtract<ulong>.Apply, (a, b) => Sse2.Subtract(a.AsInt64(), b.AsInt64()).AsByte()),
        ("PADDSB", PackedAddSaturating<sbyte>.Apply, (a, b) => Sse2.AddSaturate(a.AsSByte(), b.AsSByte()).AsByte()),
        ("PADDSW", PackedAddSaturating<short>.Apply, (a, b) => Sse2.AddSaturate(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PADDUSB", PackedAddSaturating<byte>.Apply, Sse2.AddSaturate),
        ("PADDUSW", PackedAddSaturating<ushort>.Apply, (a, b) => Sse2.AddSaturate(a.AsUInt16(), b.AsUInt16()).AsByte()),
        ("PSUBSB", PackedSubtractSaturating<sbyte>.Apply, (a, b) => Sse2.SubtractSaturate(a.AsSByte(), b.AsSByte()).AsByte()),
        ("PSUBSW", PackedSubtractSaturating<short>.Apply, (a, b) => Sse2.SubtractSaturate(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PSUBUSB", PackedSubtractSaturating<byte>.Apply, Sse2.SubtractSaturate),
        ("PSUBUSW", PackedSubtractSaturating<ushort>.Apply, (a, b) => Sse2.SubtractSaturate(a.AsUInt16(), b.AsUInt16()).AsByte()),
        ("PCMPEQB", PackedEqual<byte>.Apply, Sse2.CompareEqual),
        ("PCMPEQW", PackedEqual<ushort>.Apply, (a, b) => Sse2.CompareEqual(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PCMPEQD", PackedEqual<uint>.Apply, (a, b) => Sse2.CompareEqual(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PCMPEQQ", PackedEqual<ulong>.Apply, (a, b) => Sse41.CompareEqual(a.AsInt64(), b.AsInt64()).AsByte()),
        ("PCMPGTB", PackedGreater<sbyte>.Apply, (a, b) => Sse2.CompareGreaterThan(a.AsSByte(), b.AsSByte()).AsByte()),
        ("PCMPGTW", PackedGreater<short>.Apply, (a, b) => Sse2.CompareGreaterThan(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PCMPGTD", PackedGreater<int>.Apply, (a, b) => Sse2.CompareGreaterThan(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PCMPGTQ", PackedGreater<long>.Apply, (a, b) => Sse42.CompareGreaterThan(a.AsInt64(), b.AsInt64()).AsByte()),
        ("PMINSB", PackedMinimum<sbyte>.Apply, (a, b) => Sse41.Min(a.AsSByte(), b.AsSByte()).AsByte()),
        ("PMINSW", PackedMinimum<short>.Apply, (a, b) => Sse2.Min(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PMINSD", PackedMinimum<int>.Apply, (a, b) => Sse41.Min(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PMINUB", PackedMinimum<byte>.Apply, Sse2.Min),
        ("PMINUW", PackedMinimum<ushort>.Apply, (a, b) => Sse41.Min(a.AsUInt16(), b.AsUInt16()).AsByte()),
        ("PMINUD", PackedMinimum<uint>.Apply, (a, b) => Sse41.Min(a.AsUInt32(), b.AsUInt32()).AsByte()),
        ("PMAXSB", PackedMaximum<sbyte>.Apply, (a, b) => Sse41.Max(a.AsSByte(), b.AsSByte()).AsByte()),
        ("PMAXSW", PackedMaximum<short>.Apply, (a, b) => Sse2.Max(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PMAXSD", PackedMaximum<int>.Apply, (a, b) => Sse41.Max(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PMAXUB", PackedMaximum<byte>.Apply, Sse2.Max),
        ("PMAXUW", PackedMaximum<ushort>.Apply, (a, b) => Sse41.Max(a.AsUInt16(), b.AsUInt16()).AsByte()),
        ("PMAXUD", PackedMaximum<uint>.Apply, (a, b) => Sse41.Max(a.AsUInt32(), b.AsUInt32()).AsByte()),
        ("PAVGB", PackedAverage<byte>.Apply, Sse2.Average),
        ("PAVGW", PackedAverage<ushort>.Apply, (a, b) => Sse2.Average(a.AsUInt16(), b.AsUInt16()).AsByte()),
        ("PABSB", PackedAbsolute<sbyte>.Apply, (_, b) => Ssse3.Abs(b.AsSByte()).AsByte()),
        ("PABSW", PackedAbsolute<short>.Apply, (_, b) => Ssse3.Abs(b.AsInt16()).AsByte()),
        ("PABSD", PackedAbsolute<int>.Apply, (_, b) => Ssse3.Abs(b.AsInt32()).AsByte()),
        ("PSIGNB", PackedSign<sbyte>.Apply, (a, b) => Ssse3.Sign(a.AsSByte(), b.AsSByte()).AsByte()),
        ("PSIGNW", PackedSign<short>.Apply, (a, b) => Ssse3.Sign(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PSIGND", PackedSign<int>.Apply, (a, b) => Ssse3.Sign(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PAND", PackedAnd.Apply, Sse2.And),
        ("PANDN", PackedAndNot.Apply, Sse2.AndNot),
        ("POR", PackedOr.Apply, Sse2.Or),
        ("PXOR", PackedXor.Apply, Sse2.Xor),
        ("PSADBW", SumAbsoluteDifferences.Apply, (a, b) => Sse2.SumAbsoluteDifferences(a, b).AsByte()),
        ("PHMINPOSUW", HorizontalMinimum.Apply, (_, b) => Sse41.MinHorizontal(b.AsUInt16()).AsByte()),
    ];

    private static IEnumerable<(string Name, Binary Operation, Binary Host)> Multiplication() =>
    [
        ("PMULLW", MultiplyLow<short>.Apply, (a, b) => Sse2.MultiplyLow(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PMULLD", MultiplyLow<int>.Apply, (a, b) => Sse41.MultiplyLow(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PMULHW", MultiplyHigh.Apply, (a, b) => Sse2.MultiplyHigh(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PMULHUW", MultiplyHighUnsigned.Apply, (a, b) => Sse2.MultiplyHigh(a.AsUInt16(), b.AsUInt16()).AsByte()),
        ("PMULHRSW", MultiplyHighRounded.Apply, (a, b) => Ssse3.MultiplyHighRoundScale(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PMULUDQ", MultiplyEvenUnsigned.Apply, (a, b) => Sse2.Multiply(a.AsUInt32(), b.AsUInt32()).AsByte()),
        ("PMULDQ", MultiplyEvenSigned.Apply, (a, b) => Sse41.Multiply(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PMADDWD", MultiplyAddWords.Apply, (a, b) => Sse2.MultiplyAddAdjacent(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PMADDUBSW", MultiplyAddBytes.Apply, (a, b) => Ssse3.MultiplyAddAdjacent(a, b.AsSByte()).AsByte()),
        ("PHADDW", HorizontalAddWords.Apply, (a, b) => Ssse3.HorizontalAdd(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PHADDD", HorizontalAddDoublewords.Apply, (a, b) => Ssse3.HorizontalAdd(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PHADDSW", HorizontalAddWordsSaturating.Apply, (a, b) => Ssse3.HorizontalAddSaturate(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PHSUBW", HorizontalSubtractWords.Apply, (a, b) => Ssse3.HorizontalSubtract(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PHSUBD", HorizontalSubtractDoublewords.Apply, (a, b) => Ssse3.HorizontalSubtract(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PHSUBSW", HorizontalSubtractWordsSaturating.Apply,
            (a, b) => Ssse3.HorizontalSubtractSaturate(a.AsInt16(), b.AsInt16()).AsByte()),
    ];

    private static IEnumerable<(string Name, Binary Operation, Binary Host)> Shuffles() =>
    [
        ("PSHUFB", ShuffleBytes.Apply, Ssse3.Shuffle),
        ("PUNPCKLBW", UnpackLow<byte>.Apply, Sse2.UnpackLow),
        ("PUNPCKLWD", UnpackLow<ushort>.Apply, (a, b) => Sse2.UnpackLow(a.AsUInt16(), b.AsUInt16()).AsByte()),
        ("PUNPCKLDQ", UnpackLow<uint>.Apply, (a, b) => Sse2.UnpackLow(a.AsUInt32(), b.AsUInt32()).AsByte()),
        ("PUNPCKLQDQ", UnpackLow<ulong>.Apply, (a, b) => Sse2.UnpackLow(a.AsUInt64(), b.AsUInt64()).AsByte()),
        ("PUNPCKHBW", UnpackHigh<byte>.Apply, Sse2.UnpackHigh),
        ("PUNPCKHWD", UnpackHigh<ushort>.Apply, (a, b) => Sse2.UnpackHigh(a.AsUInt16(), b.AsUInt16()).AsByte()),
        ("PUNPCKHDQ", UnpackHigh<uint>.Apply, (a, b) => Sse2.UnpackHigh(a.AsUInt32(), b.AsUInt32()).AsByte()),
        ("PUNPCKHQDQ", UnpackHigh<ulong>.Apply, (a, b) => Sse2.UnpackHigh(a.AsUInt64(), b.AsUInt64()).AsByte()),
        ("PACKSSWB", PackSignedWords.Apply, (a, b) => Sse2.PackSignedSaturate(a.AsInt16(), b.AsInt16()).AsByte()),
        ("PACKSSDW", PackSignedDoublewords.Apply, (a, b) => Sse2.PackSignedSaturate(a.AsInt32(), b.AsInt32()).AsByte()),
        ("PACKUSWB", PackUnsignedWords.Apply, (a, b) => Sse2.PackUnsignedSaturate(a.AsInt16(), b.AsInt16())),
        ("PACKUSDW", PackUnsignedDoublewords.Apply, (a, b) => Sse41.PackUnsignedSaturate(a.AsInt32(), b.AsInt32()).AsByte()),
        ("MOVDDUP", DuplicateLowDouble.Apply, (_, b) => Sse3.MoveAndDuplicate(b.AsDouble()).AsByte()),
        ("MOVSLDUP", DuplicateEvenSingles.Apply, (_, b) => Sse3.MoveLowAndDuplicate(b.AsSingle()).AsByte()),
        ("MOVSHDUP", DuplicateOddSingles.Apply, (_, b) => Sse3.MoveHighAndDuplicate(b.AsSingle()).AsByte()),
    ];

    private static IEnumerable<(string Name, Binary Operation, Binary Host)> Widening() =>
    [
        ("PMOVSXBW", SignExtendByteToWord.Apply, (_, b) => Sse41.ConvertToVector128Int16(b.AsSByte()).AsByte()),
        ("PMOVSXBD", Twice<SignExtendByteToWord, SignExtendWordToDoubleword>.Apply,
            (_, b) => Sse41.ConvertToVector128Int32(b.AsSByte()).AsByte()),
        ("PMOVSXBQ", Twice<SignExtendByteToWord, Twice<SignExtendWordToDoubleword, SignExtendDoublewordToQuadword>>.Apply,
            (_, b) => Sse41.ConvertToVector128Int64(b.AsSByte()).AsByte()),
        ("PMOVSXWD", SignExtendWordToDoubleword.Apply, (_, b) => Sse41.ConvertToVector128Int32(b.AsInt16()).AsByte()),
        ("PMOVSXDQ", SignExtendDoublewordToQuadword.Apply, (_, b) => Sse41.ConvertToVector128Int64(b.AsInt32()).AsByte()),
        ("PMOVZXBW", ZeroExtendByteToWord.Apply, (_, b) => Sse41.ConvertToVector128Int16(b).AsByte()),
        ("PMOVZXBD", Twice<ZeroExtendByteToWord, ZeroExtendWordToDoubleword>.Apply,
            (_, b) => Sse41.ConvertToVector128Int32(b).AsByte()),
        ("PMOVZXBQ", Twice<ZeroExtendByteToWord, Twice<ZeroExtendWordToDoubleword, ZeroExtendDoublewordToQuadword>>.Apply,
            (_, b) => Sse41.ConvertToVector128Int64(b).AsByte()),
        ("PMOVZXWQ", Twice<ZeroExtendWordToDoubleword, ZeroExtendDoublewordToQuadword>.Apply,
            (_, b) => Sse41.ConvertToVector128Int64(b.AsUInt16()).AsByte()),
        ("PMOVZXDQ", ZeroExtendDoublewordToQuadword.Apply, (_, b) => Sse41.ConvertToVector128Int64(b.AsUInt32()).AsByte()),
    ];

    [TestCaseSource(nameof(Operations))]
    public void The_host_agrees(Binary operation, Binary host)
    {
        foreach ((Vector128<byte> a, Vector128<byte> b) in VectorSamples.Pairs())
        {
            Vector128<byte> expected = host(a, b);
            Vector128<byte> actual = operation(a, b);
            if (actual != expected)
            {
                Assert.Fail($"of {a} and {b}: {actual}, the host says {expected}");
            }
        }
    }

    private static IEnumerable<TestCaseData> Shifts()
    {
        (string, Binary, Binary)[] shifts =
        [
            ("PSLLW", ShiftLeft<ushort>.Apply, (a, b) => Sse2.ShiftLeftLogical(a.AsInt16(), b.AsInt16()).AsByte()),
            ("PSLLD", ShiftLeft<uint>.Apply, (a, b) => Sse2.ShiftLeftLogical(a.AsInt32(), b.AsInt32()).AsByte()),
            ("PSLLQ", ShiftLeft<ulong>.Apply, (a, b) => Sse2.ShiftLeftLogical(a.AsInt64(), b.AsInt64()).AsByte()),
            ("PSRLW", ShiftRightLogical<ushort>.Apply, (a, b) => Sse2.ShiftRightLogical(a.AsInt16(), b.AsInt16()).AsByte()),
            ("PSRLD", ShiftRightLogical<uint>.Apply, (a, b) => Sse2.ShiftRightLogical(a.AsInt32(), b.AsInt32()).AsByte()),
            ("PSRLQ", ShiftRightLogical<ulong>.Apply, (a, b) => Sse2.ShiftRightLogical(a.AsInt64(), b.AsInt64()).AsByte()),
            ("PSRAW", ShiftRightArithmetic<short>.Apply, (a, b) => Sse2.ShiftRightArithmetic(a.AsInt16(), b.AsInt16()).AsByte()),
            ("PSRAD", ShiftRightArithmetic<int>.Apply, (a, b) => Sse2.ShiftRightArithmetic(a.AsInt32(), b.AsInt32()).AsByte()),
        ];
        return Sse2.IsSupported ? shifts.Select(shift => new TestCaseData(shift.Item2, shift.Item3).SetArgDisplayNames(shift.Item1)) : [];
    }

    [TestCaseSource(nameof(Shifts))]
    public void Shifts_agree_at_every_count_and_beyond(Binary operation, Binary host)
    {
        Random random = new(3);
        ulong[] counts = [.. Enumerable.Range(0, 70).Select(count => (ulong)count), 255, 256, 1UL << 32, 1UL << 63, ulong.MaxValue];
        foreach (ulong count in counts)
        {
            for (int i = 0; i < 10; i++)
            {
                Vector128<byte> a = VectorSamples.Next(random);
                Vector128<byte> b = Vector128.Create(count, (ulong)random.NextInt64()).AsByte();
                Assert.That(operation(a, b), Is.EqualTo(host(a, b)), $"{a} by {count}");
            }
        }
    }
}
