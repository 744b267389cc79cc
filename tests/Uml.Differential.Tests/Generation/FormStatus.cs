using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.State;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>Asks the interpreter whether it has an instruction form.</summary>
internal static unsafe class FormStatus
{
    /// <summary>False also for forms that our decoder never produces: those that need a decoder option or 16-bit code.</summary>
    public static bool IsImplemented(OpCodeInfo form, int bitness)
    {
        CpuMode mode = CpuMode.Protected | CpuMode.LongActive | CpuMode.User | (bitness == 64 ? CpuMode.Long64 : CpuMode.Code32 | CpuMode.Stack32);
        if (!TrySample(form, bitness, out Instruction instruction))
        {
            return false;
        }

        Op op = default;
        Uml.Core.Cpu.Decode.OperandFields.Fill(in instruction, &op, mode);
        return Binder.Bind(in instruction, &op, mode, CpuFeatures.X64V3) != null;
    }

    /// <summary>Any encoding of the form.</summary>
    private static bool TrySample(OpCodeInfo form, int bitness, out Instruction instruction)
    {
        var rng = new Rng((ulong)form.Code);
        var encodings = new EncodingGenerator(bitness);
        Span<byte> code = stackalloc byte[16];
        for (int attempt = 0; attempt < 1000; attempt++)
        {
            if (encodings.TryWrite(ref rng, form, Layout.Program, code, out instruction, out _))
            {
                return true;
            }
        }

        instruction = default;
        return false;
    }
}
