using Iced.Intel;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>0F AE and relatives: MXCSR and state images. All but the MXCSR ones check for themselves whether they may run.</summary>
// SAFETY: as in SimdBinder.cs; Imm says which format, not an address.
internal static unsafe partial class SimdBinder
{
    public static Handler BindState(in Instruction instruction, Op* op, CpuMode mode)
    {
        switch (instruction.Code)
        {
            case Code.Ldmxcsr_m32:
                return (mode & CpuMode.VectorDisabled) != 0 ? &Enablement.RaiseVectorDisabled : &StateSave.LoadMxcsr;
            case Code.Stmxcsr_m32:
                return (mode & CpuMode.VectorDisabled) != 0 ? &Enablement.RaiseVectorDisabled : &StateSave.StoreMxcsr;
            case Code.Xgetbv:
                return &StateSave.Xgetbv;
            case Code.Xsetbv:
                return &StateSave.Xsetbv;
        }

        Handler handler = instruction.Code switch
        {
            Code.Fxsave_m512byte or Code.Fxsave64_m512byte => &StateSave.Fxsave,
            Code.Fxrstor_m512byte or Code.Fxrstor64_m512byte => &StateSave.Fxrstor,
            Code.Xsave_mem or Code.Xsave64_mem => &StateSave.Xsave,
            Code.Xrstor_mem or Code.Xrstor64_mem => &StateSave.Xrstor,
            Code.Xsaveopt_mem or Code.Xsaveopt64_mem => &StateSave.Xsaveopt,
            Code.Xsavec_mem or Code.Xsavec64_mem => &StateSave.Xsavec,
            _ => null,
        };
        if (handler != null)
        {
            op->Imm = instruction.Code is Code.Fxsave64_m512byte or Code.Fxrstor64_m512byte or Code.Xsave64_mem or Code.Xrstor64_mem
                or Code.Xsaveopt64_mem or Code.Xsavec64_mem ? 1 : 0;
        }

        return handler;
    }
}
