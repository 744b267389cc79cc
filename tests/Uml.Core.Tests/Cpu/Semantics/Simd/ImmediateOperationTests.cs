using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Uml.Core.Cpu.Semantics.Simd;
using Immediate = System.Func<System.Runtime.Intrinsics.Vector128<byte>, System.Runtime.Intrinsics.Vector128<byte>, byte, System.Runtime.Intrinsics.Vector128<byte>>;

// Every immediate is tried on purpose.
#pragma warning disable CA1857

namespace Uml.Core.Tests.Cpu.Semantics.Simd;

/// <summary>Operations with an immediate against the host's instructions, for every immediate.</summary>
public class ImmediateOperationTests
{
    private static IEnumerable<TestCaseData> Operations()
    {
        (string, Immediate, Immediate)[] operations =
        [
            ("PSHUFD", ShuffleDoublewords.Apply, (_, b, i) => Sse2.Shuffle(b.AsUInt32(), i).AsByte()),
            ("PSHUFLW", ShuffleLowWords.Apply, (_, b, i) => Sse2.ShuffleLow(b.AsUInt16(), i).AsByte()),
            ("PSHUFHW", ShuffleHighWords.Apply, (_, b, i) => Sse2.ShuffleHigh(b.AsUInt16(), i).AsByte()),
            ("SHUFPS", ShuffleSingles.Apply, (a, b, i) => Sse.Shuffle(a.AsSingle(), b.AsSingle(), i).AsByte()),
            ("SHUFPD", ShuffleDoubles.Apply, (a, b, i) => Sse2.Shuffle(a.AsDouble(), b.AsDouble(), i).AsByte()),
            ("PSLLDQ", ShiftLeftBytes.Apply, (a, _, i) => Sse2.ShiftLeftLogical128BitLane(a, i)),
            ("PSRLDQ", ShiftRightBytes.Apply, (a, _, i) => Sse2.ShiftRightLogical128BitLane(a, i)),
            ("PALIGNR", AlignRight.Apply, Ssse3.AlignRight),
            ("PBLENDW", BlendImmediate<ushort>.Apply, (a, b, i) => Sse41.Blend(a.AsUInt16(), b.AsUInt16(), i).AsByte()),
            ("BLENDPS", BlendImmediate<uint>.Apply, (a, b, i) => Sse41.Blend(a.AsSingle(), b.AsSingle(), i).AsByte()),
            ("BLENDPD", BlendImmediate<ulong>.Apply, (a, b, i) => Sse41.Blend(a.AsDouble(), b.AsDouble(), i).AsByte()),
            ("INSERTPS", InsertSingle.Apply, (a, b, i) => Sse41.Insert(a.AsSingle(), b.AsSingle(), i).AsByte()),
            ("MPSADBW", MultipleSumAbsoluteDifferences.Apply, (a, b, i) => Sse41.MultipleSumAbsoluteDifferences(a, b, i).AsByte()),
        ];
        return Sse41.IsSupported
            ? operations.Select(operation => new TestCaseData(operation.Item2, operation.Item3).SetArgDisplayNames(operation.Item1))
            : [];
    }

    [TestCaseSource(nameof(Operations))]
    public void The_host_agrees_for_every_immediate(Immediate operation, Immediate host)
    {
        Random random = new(5);
        for (int immediate = 0; immediate < 256; immediate++)
        {
            for (int i = 0; i < 20; i++)
            {
                Vector128<byte> a = VectorSamples.Next(random);
                Vector128<byte> b = VectorSamples.Next(random);
                Vector128<byte> expected = host(a, b, (byte)immediate);
                Vector128<byte> actual = operation(a, b, (byte)immediate);
                if (actual != expected)
                {
                    Assert.Fail($"of {a} and {b} with {immediate:X2}: {actual}, the host says {expected}");
                }
            }
        }
    }

    [Test]
    public void Variable_blends_take_the_sign_bits_of_the_mask()
    {
        Assume.That(Sse41.IsSupported);
        Random random = new(6);
        foreach ((Vector128<byte> a, Vector128<byte> b) in VectorSamples.Pairs())
        {
            Vector128<byte> mask = VectorSamples.Next(random);
            Assert.That(BlendVariable<sbyte>.Apply(a, b, mask), Is.EqualTo(Sse41.BlendVariable(a, b, mask)));
            Assert.That(
                BlendVariable<int>.Apply(a, b, mask),
                Is.EqualTo(Sse41.BlendVariable(a.AsSingle(), b.AsSingle(), mask.AsSingle()).AsByte()));
            Assert.That(
                BlendVariable<long>.Apply(a, b, mask),
                Is.EqualTo(Sse41.BlendVariable(a.AsDouble(), b.AsDouble(), mask.AsDouble()).AsByte()));
        }
    }

    [Test]
    public void Mmx_unpacks_packs_and_shuffles_work_on_64_bit_operands()
    {
        Vector128<byte> a = Vector128.CreateScalar(0x0706050403020100UL).AsByte();
        Vector128<byte> b = Vector128.CreateScalar(0x1716151413121110UL).AsByte();
        Vector128<byte> words = Vector128.CreateScalar(0xFFFF_8000_7FFF_0012UL).AsByte();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Low(UnpackLow<byte>.Apply(a, b)), Is.EqualTo(0x1303120211011000));
            Assert.That(Low(MmxUnpackHigh<byte>.Apply(a, b)), Is.EqualTo(0x1707160615051404));
            Assert.That(Low(MmxUnpackHigh<uint>.Apply(a, b)), Is.EqualTo(0x1716151407060504));
            Assert.That(Low(MmxSideBySide<PackSignedWords>.Apply(words, a)), Is.EqualTo(0x7F7F7F7FFF807F12));
            Assert.That(Low(MmxSideBySide<HorizontalAddWords>.Apply(words, a)), Is.EqualTo(0x0C0A04027FFF8011));
            Assert.That(Low(MmxShuffleBytes.Apply(a, Vector128.CreateScalar(0x0F80_0908_0102_0304UL).AsByte())), Is.EqualTo(0x0700010001020304));
            Assert.That(Low(MmxAlignRight.Apply(b, a, 3)), Is.EqualTo(0x1211100706050403));
            Assert.That(Low(MmxAlignRight.Apply(b, a, 16)), Is.Zero);
            Assert.That(Low(ShuffleLowWords.Apply(default, a, 0x1B)), Is.EqualTo(0x0100030205040706));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong Low(Vector128<byte> value) => value.AsUInt64().ToScalar();
}
