using System.Runtime.Intrinsics;
using Iced.Intel;
using Uml.Core.Cpu.Semantics.Float;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Differential.Tests.Float;

internal delegate bool SseModel(ref SseFrame frame);

internal delegate bool Binary32(uint left, uint right, ref uint mxcsr, out uint result);

internal delegate bool Binary64(ulong left, ulong right, ref uint mxcsr, out ulong result);

internal delegate bool Vector32(Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result);

internal delegate bool Vector64(Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result);

/// <summary>One instruction form: how to emit it for the CPU and what the model does to the same frame.</summary>
internal sealed record SseForm(string Name, Action<Assembler> Emit, SseModel Model, SseOperands Operands = SseOperands.Single)
{
    public override string ToString() => Name;
}

internal enum SseOperands
{
    Single,
    Double,
    Integer,
    MmxSingle,
    MmxInteger,
    MmxDouble,
}

/// <summary>Every SSE to SSE4.1 floating-point instruction that computes.</summary>
internal static class SseForms
{
    public static IEnumerable<SseForm> All() =>
        [.. Arithmetic(), .. Horizontal(), .. Comparisons(), .. CompareFlags(), .. Rounding(), .. ScalarConversions(), .. PackedConversions()];

    private static IEnumerable<SseForm> Arithmetic()
    {
        yield return Scalar32("addss", a => a.addss(xmm0, xmm1), SseFloat.AddSs);
        yield return Scalar64("addsd", a => a.addsd(xmm0, xmm1), SseFloat.AddSd);
        yield return Packed32("addps", a => a.addps(xmm0, xmm1), SseFloat.AddPs);
        yield return Packed64("addpd", a => a.addpd(xmm0, xmm1), SseFloat.AddPd);
        yield return Scalar32("subss", a => a.subss(xmm0, xmm1), SseFloat.SubSs);
        yield return Scalar64("subsd", a => a.subsd(xmm0, xmm1), SseFloat.SubSd);
        yield return Packed32("subps", a => a.subps(xmm0, xmm1), SseFloat.SubPs);
        yield return Packed64("subpd", a => a.subpd(xmm0, xmm1), SseFloat.SubPd);
        yield return Scalar32("mulss", a => a.mulss(xmm0, xmm1), SseFloat.MulSs);
        yield return Scalar64("mulsd", a => a.mulsd(xmm0, xmm1), SseFloat.MulSd);
        yield return Packed32("mulps", a => a.mulps(xmm0, xmm1), SseFloat.MulPs);
        yield return Packed64("mulpd", a => a.mulpd(xmm0, xmm1), SseFloat.MulPd);
        yield return Scalar32("divss", a => a.divss(xmm0, xmm1), SseFloat.DivSs);
        yield return Scalar64("divsd", a => a.divsd(xmm0, xmm1), SseFloat.DivSd);
        yield return Packed32("divps", a => a.divps(xmm0, xmm1), SseFloat.DivPs);
        yield return Packed64("divpd", a => a.divpd(xmm0, xmm1), SseFloat.DivPd);
        yield return Scalar32("sqrtss", a => a.sqrtss(xmm0, xmm1), (uint _, uint s, ref uint m, out uint r) => SseFloat.SqrtSs(s, ref m, out r));
        yield return Scalar64("sqrtsd", a => a.sqrtsd(xmm0, xmm1), (ulong _, ulong s, ref uint m, out ulong r) => SseFloat.SqrtSd(s, ref m, out r));
        yield return Packed32(
            "sqrtps",
            a => a.sqrtps(xmm0, xmm1),
            (Vector128<float> _, Vector128<float> s, ref uint m, out Vector128<float> r) => SseFloat.SqrtPs(s, ref m, out r));
        yield return Packed64(
            "sqrtpd",
            a => a.sqrtpd(xmm0, xmm1),
            (Vector128<double> _, Vector128<double> s, ref uint m, out Vector128<double> r) => SseFloat.SqrtPd(s, ref m, out r));
        yield return Scalar32("minss", a => a.minss(xmm0, xmm1), SseFloat.MinSs);
        yield return Scalar64("minsd", a => a.minsd(xmm0, xmm1), SseFloat.MinSd);
        yield return Packed32("minps", a => a.minps(xmm0, xmm1), SseFloat.MinPs);
        yield return Packed64("minpd", a => a.minpd(xmm0, xmm1), SseFloat.MinPd);
        yield return Scalar32("maxss", a => a.maxss(xmm0, xmm1), SseFloat.MaxSs);
        yield return Scalar64("maxsd", a => a.maxsd(xmm0, xmm1), SseFloat.MaxSd);
        yield return Packed32("maxps", a => a.maxps(xmm0, xmm1), SseFloat.MaxPs);
        yield return Packed64("maxpd", a => a.maxpd(xmm0, xmm1), SseFloat.MaxPd);
    }

    private static IEnumerable<SseForm> Horizontal()
    {
        yield return Packed32("addsubps", a => a.addsubps(xmm0, xmm1), SseFloat.AddSubPs);
        yield return Packed64("addsubpd", a => a.addsubpd(xmm0, xmm1), SseFloat.AddSubPd);
        yield return Packed32("haddps", a => a.haddps(xmm0, xmm1), SseFloat.HaddPs);
        yield return Packed64("haddpd", a => a.haddpd(xmm0, xmm1), SseFloat.HaddPd);
        yield return Packed32("hsubps", a => a.hsubps(xmm0, xmm1), SseFloat.HsubPs);
        yield return Packed64("hsubpd", a => a.hsubpd(xmm0, xmm1), SseFloat.HsubPd);
        foreach (byte immediate in new byte[] { 0xFF, 0x7F, 0xF1, 0x35, 0x5A, 0x88, 0x0F, 0xF0, 0xC3 })
        {
            yield return Packed32(
                $"dpps {immediate:X2}",
                a => a.dpps(xmm0, xmm1, immediate),
                (Vector128<float> d, Vector128<float> s, ref uint m, out Vector128<float> r) =>
                    SseFloat.DpPs(d, s, immediate, ref m, out r));
        }

        foreach (byte immediate in new byte[] { 0x33, 0x31, 0x12, 0x23, 0x03, 0x30 })
        {
            yield return Packed64(
                $"dppd {immediate:X2}",
                a => a.dppd(xmm0, xmm1, immediate),
                (Vector128<double> d, Vector128<double> s, ref uint m, out Vector128<double> r) =>
                    SseFloat.DpPd(d, s, immediate, ref m, out r));
        }
    }

    private static IEnumerable<SseForm> Comparisons()
    {
        for (int i = 0; i < 8; i++)
        {
            byte predicate = (byte)i;
            yield return Scalar32(
                $"cmpss {i}",
                a => a.cmpss(xmm0, xmm1, predicate),
                (uint d, uint s, ref uint m, out uint r) => SseFloat.CmpSs(d, s, predicate, ref m, out r));
            yield return Scalar64(
                $"cmpsd {i}",
                a => a.cmpsd(xmm0, xmm1, predicate),
                (ulong d, ulong s, ref uint m, out ulong r) => SseFloat.CmpSd(d, s, predicate, ref m, out r));
            yield return Packed32(
                $"cmpps {i}",
                a => a.cmpps(xmm0, xmm1, predicate),
                (Vector128<float> d, Vector128<float> s, ref uint m, out Vector128<float> r) =>
                    SseFloat.CmpPs(d, s, predicate, ref m, out r));
            yield return Packed64(
                $"cmppd {i}",
                a => a.cmppd(xmm0, xmm1, predicate),
                (Vector128<double> d, Vector128<double> s, ref uint m, out Vector128<double> r) =>
                    SseFloat.CmpPd(d, s, predicate, ref m, out r));
        }
    }

    private static IEnumerable<SseForm> CompareFlags()
    {
        yield return Flags32("comiss", a => a.comiss(xmm0, xmm1), SseFloat.ComiSs);
        yield return Flags32("ucomiss", a => a.ucomiss(xmm0, xmm1), SseFloat.UcomiSs);
        yield return Flags64("comisd", a => a.comisd(xmm0, xmm1), SseFloat.ComiSd);
        yield return Flags64("ucomisd", a => a.ucomisd(xmm0, xmm1), SseFloat.UcomiSd);
    }

    private static IEnumerable<SseForm> Rounding()
    {
        for (int i = 0; i < 16; i++)
        {
            byte immediate = (byte)i;
            yield return Scalar32(
                $"roundss {i}",
                a => a.roundss(xmm0, xmm1, immediate),
                (uint _, uint s, ref uint m, out uint r) => SseFloat.RoundSs(s, immediate, ref m, out r));
            yield return Scalar64(
                $"roundsd {i}",
                a => a.roundsd(xmm0, xmm1, immediate),
                (ulong _, ulong s, ref uint m, out ulong r) => SseFloat.RoundSd(s, immediate, ref m, out r));
            yield return Packed32(
                $"roundps {i}",
                a => a.roundps(xmm0, xmm1, immediate),
                (Vector128<float> _, Vector128<float> s, ref uint m, out Vector128<float> r) =>
                    SseFloat.RoundPs(s, immediate, ref m, out r));
            yield return Packed64(
                $"roundpd {i}",
                a => a.roundpd(xmm0, xmm1, immediate),
                (Vector128<double> _, Vector128<double> s, ref uint m, out Vector128<double> r) =>
                    SseFloat.RoundPd(s, immediate, ref m, out r));
        }
    }

    private static IEnumerable<SseForm> ScalarConversions()
    {
        yield return new("cvtss2sd", a => a.cvtss2sd(xmm0, xmm1), (ref SseFrame f) =>
            Store64(ref f, SseFloat.CvtSs2Sd((uint)f.Source[0], ref f.Mxcsr, out ulong r), r));
        yield return new("cvtsd2ss", a => a.cvtsd2ss(xmm0, xmm1), (ref SseFrame f) =>
            Store32(ref f, SseFloat.CvtSd2Ss(f.Source[0], ref f.Mxcsr, out uint r), r), SseOperands.Double);
        yield return new("cvtsi2ss r32", a => a.cvtsi2ss(xmm0, eax), (ref SseFrame f) =>
            Store32(ref f, SseFloat.CvtSi2Ss((int)f.Gpr, ref f.Mxcsr, out uint r), r), SseOperands.Integer);
        yield return new("cvtsi2ss r64", a => a.cvtsi2ss(xmm0, rax), (ref SseFrame f) =>
            Store32(ref f, SseFloat.CvtSi2Ss((long)f.Gpr, ref f.Mxcsr, out uint r), r), SseOperands.Integer);
        yield return new("cvtsi2sd r32", a => a.cvtsi2sd(xmm0, eax), (ref SseFrame f) =>
            Store64(ref f, SseFloat.CvtSi2Sd((int)f.Gpr, ref f.Mxcsr, out ulong r), r), SseOperands.Integer);
        yield return new("cvtsi2sd r64", a => a.cvtsi2sd(xmm0, rax), (ref SseFrame f) =>
            Store64(ref f, SseFloat.CvtSi2Sd((long)f.Gpr, ref f.Mxcsr, out ulong r), r), SseOperands.Integer);
        yield return new("cvtss2si r32", a => a.cvtss2si(eax, xmm1), (ref SseFrame f) =>
            StoreGpr(ref f, SseFloat.CvtSs2Si32((uint)f.Source[0], ref f.Mxcsr, out int r), (uint)r));
        yield return new("cvtss2si r64", a => a.cvtss2si(rax, xmm1), (ref SseFrame f) =>
            StoreGpr(ref f, SseFloat.CvtSs2Si64((uint)f.Source[0], ref f.Mxcsr, out long r), (ulong)r));
        yield return new("cvttss2si r32", a => a.cvttss2si(eax, xmm1), (ref SseFrame f) =>
            StoreGpr(ref f, SseFloat.CvttSs2Si32((uint)f.Source[0], ref f.Mxcsr, out int r), (uint)r));
        yield return new("cvttss2si r64", a => a.cvttss2si(rax, xmm1), (ref SseFrame f) =>
            StoreGpr(ref f, SseFloat.CvttSs2Si64((uint)f.Source[0], ref f.Mxcsr, out long r), (ulong)r));
        yield return new("cvtsd2si r32", a => a.cvtsd2si(eax, xmm1), (ref SseFrame f) =>
            StoreGpr(ref f, SseFloat.CvtSd2Si32(f.Source[0], ref f.Mxcsr, out int r), (uint)r), SseOperands.Double);
        yield return new("cvtsd2si r64", a => a.cvtsd2si(rax, xmm1), (ref SseFrame f) =>
            StoreGpr(ref f, SseFloat.CvtSd2Si64(f.Source[0], ref f.Mxcsr, out long r), (ulong)r), SseOperands.Double);
        yield return new("cvttsd2si r32", a => a.cvttsd2si(eax, xmm1), (ref SseFrame f) =>
            StoreGpr(ref f, SseFloat.CvttSd2Si32(f.Source[0], ref f.Mxcsr, out int r), (uint)r), SseOperands.Double);
        yield return new("cvttsd2si r64", a => a.cvttsd2si(rax, xmm1), (ref SseFrame f) =>
            StoreGpr(ref f, SseFloat.CvttSd2Si64(f.Source[0], ref f.Mxcsr, out long r), (ulong)r), SseOperands.Double);
    }

    private static IEnumerable<SseForm> PackedConversions()
    {
        yield return new("cvtps2pd", a => a.cvtps2pd(xmm0, xmm1), (ref SseFrame f) =>
            StoreVector(ref f, SseFloat.CvtPs2Pd(f.Source[0], ref f.Mxcsr, out Vector128<double> r), r.AsUInt64()));
        yield return new("cvtpd2ps", a => a.cvtpd2ps(xmm0, xmm1), (ref SseFrame f) =>
            StoreVector(ref f, SseFloat.CvtPd2Ps(f.Source.AsDouble(), ref f.Mxcsr, out Vector128<float> r), r.AsUInt64()), SseOperands.Double);
        yield return new("cvtdq2ps", a => a.cvtdq2ps(xmm0, xmm1), (ref SseFrame f) =>
            StoreVector(ref f, SseFloat.CvtDq2Ps(f.Source.AsInt32(), ref f.Mxcsr, out Vector128<float> r), r.AsUInt64()), SseOperands.Integer);
        yield return new("cvtdq2pd", a => a.cvtdq2pd(xmm0, xmm1), (ref SseFrame f) =>
            StoreVector(ref f, true, SseFloat.CvtDq2Pd(f.Source[0]).AsUInt64()), SseOperands.Integer);
        foreach (bool truncate in new[] { false, true })
        {
            yield return new(
                truncate ? "cvttps2dq" : "cvtps2dq",
                a => { if (truncate) { a.cvttps2dq(xmm0, xmm1); } else { a.cvtps2dq(xmm0, xmm1); } },
                (ref SseFrame f) =>
                    StoreVector(ref f, SseFloat.CvtPs2Dq(f.Source.AsSingle(), truncate, ref f.Mxcsr, out Vector128<int> r), r.AsUInt64()));
            yield return new(
                truncate ? "cvttpd2dq" : "cvtpd2dq",
                a => { if (truncate) { a.cvttpd2dq(xmm0, xmm1); } else { a.cvtpd2dq(xmm0, xmm1); } },
                (ref SseFrame f) =>
                    StoreVector(ref f, SseFloat.CvtPd2Dq(f.Source.AsDouble(), truncate, ref f.Mxcsr, out ulong r), Vector128.Create(r, 0)),
                SseOperands.Double);
            yield return new(
                truncate ? "cvttps2pi" : "cvtps2pi",
                a => { if (truncate) { a.cvttps2pi(mm0, xmm1); } else { a.cvtps2pi(mm0, xmm1); } },
                (ref SseFrame f) => StoreMmx(ref f, SseFloat.CvtPs2Pi(f.Source[0], truncate, ref f.Mxcsr, out ulong r), r),
                SseOperands.MmxSingle);
            yield return new(
                truncate ? "cvttpd2pi" : "cvtpd2pi",
                a => { if (truncate) { a.cvttpd2pi(mm0, xmm1); } else { a.cvtpd2pi(mm0, xmm1); } },
                (ref SseFrame f) => StoreMmx(ref f, SseFloat.CvtPd2Dq(f.Source.AsDouble(), truncate, ref f.Mxcsr, out ulong r), r),
                SseOperands.MmxDouble);
        }

        yield return new("cvtpi2ps", a => a.cvtpi2ps(xmm0, mm0), (ref SseFrame f) =>
            Store64(ref f, SseFloat.CvtPi2Ps(f.Mmx, ref f.Mxcsr, out ulong r), r), SseOperands.MmxInteger);
        yield return new("cvtpi2pd", a => a.cvtpi2pd(xmm0, mm0), (ref SseFrame f) =>
            StoreVector(ref f, true, SseFloat.CvtDq2Pd(f.Mmx).AsUInt64()), SseOperands.MmxInteger);
    }

    private static SseForm Scalar32(string name, Action<Assembler> emit, Binary32 model) => new(name, emit, (ref SseFrame f) =>
        Store32(ref f, model((uint)f.Destination[0], (uint)f.Source[0], ref f.Mxcsr, out uint r), r));

    private static SseForm Scalar64(string name, Action<Assembler> emit, Binary64 model) => new(name, emit, (ref SseFrame f) =>
        Store64(ref f, model(f.Destination[0], f.Source[0], ref f.Mxcsr, out ulong r), r), SseOperands.Double);

    private static SseForm Packed32(string name, Action<Assembler> emit, Vector32 model) => new(name, emit, (ref SseFrame f) =>
        StoreVector(ref f, model(f.Destination.AsSingle(), f.Source.AsSingle(), ref f.Mxcsr, out Vector128<float> r), r.AsUInt64()));

    private static SseForm Packed64(string name, Action<Assembler> emit, Vector64 model) => new(name, emit, (ref SseFrame f) =>
        StoreVector(ref f, model(f.Destination.AsDouble(), f.Source.AsDouble(), ref f.Mxcsr, out Vector128<double> r), r.AsUInt64()), SseOperands.Double);

    private static SseForm Flags32(string name, Action<Assembler> emit, Binary32 model) => new(name, emit, (ref SseFrame f) =>
    {
        bool ok = model((uint)f.Destination[0], (uint)f.Source[0], ref f.Mxcsr, out uint flags);
        f.Flags = flags;
        return ok;
    });

    private static SseForm Flags64(string name, Action<Assembler> emit, ComiModel model) => new(name, emit, (ref SseFrame f) =>
    {
        bool ok = model(f.Destination[0], f.Source[0], ref f.Mxcsr, out uint flags);
        f.Flags = flags;
        return ok;
    }, SseOperands.Double);

    private static bool Store32(ref SseFrame frame, bool ok, uint result)
    {
        if (ok)
        {
            frame.Destination = frame.Destination.AsUInt32().WithElement(0, result).AsUInt64();
        }

        return ok;
    }

    private static bool Store64(ref SseFrame frame, bool ok, ulong result)
    {
        if (ok)
        {
            frame.Destination = frame.Destination.WithElement(0, result);
        }

        return ok;
    }

    private static bool StoreVector(ref SseFrame frame, bool ok, Vector128<ulong> result)
    {
        if (ok)
        {
            frame.Destination = result;
        }

        return ok;
    }

    private static bool StoreGpr(ref SseFrame frame, bool ok, ulong result)
    {
        if (ok)
        {
            frame.Gpr = result;
        }

        return ok;
    }

    private static bool StoreMmx(ref SseFrame frame, bool ok, ulong result)
    {
        if (ok)
        {
            frame.Mmx = result;
        }

        return ok;
    }

    private delegate bool ComiModel(ulong left, ulong right, ref uint mxcsr, out uint flags);
}
