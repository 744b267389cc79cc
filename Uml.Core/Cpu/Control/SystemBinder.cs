using Iced.Intel;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Interrupts;
using Uml.Core.Cpu.Segments;

namespace Uml.Core.Cpu.Control;

/// <summary>Segment, interrupt, privilege and processor-control instructions.</summary>
// SAFETY: op is the operation being decoded (IInstructionBinder). R2 is a size in bits or bytes, or a flag, and no offset.
internal static unsafe partial class SystemBinder
{
    /// <summary>
    /// Whether the instruction has to be the last of its block though it is no jump, because the next one may run in another mode or with
    /// another mapping.
    /// </summary>
    public static bool EndsBlock(in Instruction i) => i.Mnemonic switch
    {
        Mnemonic.Hlt or Mnemonic.Lmsw or Mnemonic.Wrmsr or Mnemonic.Invlpg or Mnemonic.Invpcid or
        Mnemonic.Out or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd => true,
        Mnemonic.Mov => i.Op0Kind == OpKind.Register && (i.Op0Register.IsCR() || i.Op0Register.IsDR()),
        _ => false,
    };

    public static Handler Bind(in Instruction i, Op* op)
    {
        Handler handler = BindProcessorControl(in i, op);
        if (handler == null)
        {
            handler = SegmentBinder.Bind(in i, op);
        }

        if (handler == null)
        {
            handler = BindTransfers(in i, op);
        }

        return handler != null ? handler : BindPorts(in i, op);
    }

    private static Handler BindProcessorControl(in Instruction i, Op* op)
    {
        switch (i.Code)
        {
            case Code.Mov_r32_cr: return &ControlRegisters.Read<uint>;
            case Code.Mov_r64_cr: return &ControlRegisters.Read<ulong>;
            case Code.Mov_cr_r32: return &ControlRegisters.Write<uint>;
            case Code.Mov_cr_r64: return &ControlRegisters.Write<ulong>;
            case Code.Mov_r32_dr: return &DebugRegisters.Read<uint>;
            case Code.Mov_r64_dr: return &DebugRegisters.Read<ulong>;
            case Code.Mov_dr_r32: return &DebugRegisters.Write<uint>;
            case Code.Mov_dr_r64: return &DebugRegisters.Write<ulong>;
            case Code.Invpcid_r32_m128: return &ControlRegisters.InvalidatePcid<uint>;
            case Code.Invpcid_r64_m128: return &ControlRegisters.InvalidatePcid<ulong>;
            case Code.Rdpid_r32: return &MiscSystemHandlers.ReadProcessorId<uint>;
            case Code.Rdpid_r64: return &MiscSystemHandlers.ReadProcessorId<ulong>;
            case Code.Rdrand_r16 or Code.Rdseed_r16: return &MiscSystemHandlers.Random<ushort>;
            case Code.Rdrand_r32 or Code.Rdseed_r32: return &MiscSystemHandlers.Random<uint>;
            case Code.Rdrand_r64 or Code.Rdseed_r64: return &MiscSystemHandlers.Random<ulong>;
        }

        bool memory = i.Op0Kind == OpKind.Memory;
        return i.Mnemonic switch
        {
            Mnemonic.Clts => &ControlRegisters.ClearTaskSwitched,
            Mnemonic.Lmsw => memory ? &ControlRegisters.LoadMachineStatusMemory : &ControlRegisters.LoadMachineStatusRegister,
            Mnemonic.Smsw => BindStatus(in i, op),
            Mnemonic.Invlpg => &ControlRegisters.InvalidatePage,
            Mnemonic.Rdmsr => &ModelSpecificRegisters.Read,
            Mnemonic.Wrmsr => &ModelSpecificRegisters.Write,
            Mnemonic.Cpuid => &MiscSystemHandlers.Cpuid,
            Mnemonic.Rdtsc => &MiscSystemHandlers.ReadTimeStamp,
            Mnemonic.Rdtscp => &MiscSystemHandlers.ReadTimeStampAndProcessor,
            Mnemonic.Rdpmc => &MiscSystemHandlers.ReadCounter,
            Mnemonic.Vmcall or Mnemonic.Vmmcall => &MiscSystemHandlers.Hypercall,
            Mnemonic.Wbinvd or Mnemonic.Wbnoinvd or Mnemonic.Invd => &MiscSystemHandlers.WriteBackCaches,
            Mnemonic.Hlt => &InterruptHandlers.Halt,
            _ => null,
        };
    }

    private static Handler BindStatus(in Instruction i, Op* op)
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            return &TableHandlers.StoreMachineStatusMemory;
        }

        op->R2 = (ushort)(i.Op0Register.GetSize() * 8);
        return &TableHandlers.StoreMachineStatusRegister;
    }

    private static Handler BindTransfers(in Instruction i, Op* op)
    {
        switch (i.Code)
        {
            case Code.Jmp_ptr1616 or Code.Jmp_ptr1632: return &FarTransfers.JumpDirect;
            case Code.Jmp_m1616: return &FarTransfers.JumpIndirect<ushort>;
            case Code.Jmp_m1632: return &FarTransfers.JumpIndirect<uint>;
            case Code.Jmp_m1664: return &FarTransfers.JumpIndirect<ulong>;
            case Code.Call_ptr1616 or Code.Call_ptr1632:
                op->R2 = (ushort)(i.Code == Code.Call_ptr1616 ? 2 : 4);
                return &FarTransfers.CallDirect;
            case Code.Call_m1616: return &FarTransfers.CallIndirect<ushort>;
            case Code.Call_m1632: return &FarTransfers.CallIndirect<uint>;
            case Code.Call_m1664: return &FarTransfers.CallIndirect<ulong>;
            case Code.Retfw or Code.Retfw_imm16: return &FarReturns.Return<ushort>;
            case Code.Retfd or Code.Retfd_imm16: return &FarReturns.Return<uint>;
            case Code.Retfq or Code.Retfq_imm16: return &FarReturns.Return<ulong>;
            case Code.Iretw: return &InterruptReturn.Return<ushort>;
            case Code.Iretd: return &InterruptReturn.Return<uint>;
            case Code.Iretq: return &InterruptReturn.Return<ulong>;
            case Code.Sysretd: return &SyscallHandlers.Sysret32;
            case Code.Sysretq: return &SyscallHandlers.Sysret64;
            case Code.Sysexitd: return &SyscallHandlers.Sysexit32;
            case Code.Sysexitq: return &SyscallHandlers.Sysexit64;
            case Code.Bound_r16_m1616: return &InterruptHandlers.Bound16;
            case Code.Bound_r32_m3232: return &InterruptHandlers.Bound32;
        }

        return i.Mnemonic switch
        {
            Mnemonic.Int => &InterruptHandlers.Int,
            Mnemonic.Int3 => &InterruptHandlers.Int3,
            Mnemonic.Int1 => &InterruptHandlers.Int1,
            Mnemonic.Into => &InterruptHandlers.Into,
            Mnemonic.Ud0 or Mnemonic.Ud1 or Mnemonic.Ud2 => &Raise.Undefined,
            Mnemonic.Syscall => &SyscallHandlers.Syscall,
            Mnemonic.Sysenter => &SyscallHandlers.Sysenter,
            Mnemonic.Swapgs => &SyscallHandlers.SwapGs,
            Mnemonic.Cli => &FlagLoads.ClearInterrupt,
            Mnemonic.Sti => &FlagLoads.SetInterrupt,
            Mnemonic.Clac => &FlagLoads.ClearAlignmentCheck,
            Mnemonic.Stac => &FlagLoads.SetAlignmentCheck,
            Mnemonic.Pushf => &FlagLoads.Push<ushort>,
            Mnemonic.Pushfd => &FlagLoads.Push<uint>,
            Mnemonic.Pushfq => &FlagLoads.Push<ulong>,
            Mnemonic.Popf => &FlagLoads.Pop<ushort>,
            Mnemonic.Popfd => &FlagLoads.Pop<uint>,
            Mnemonic.Popfq => &FlagLoads.Pop<ulong>,
            _ => null,
        };
    }

    private static Handler BindPorts(in Instruction i, Op* op) => i.Mnemonic switch
    {
        Mnemonic.In or Mnemonic.Out => BindPort(in i),
        Mnemonic.Insb or Mnemonic.Outsb => BindStringPort<byte>(in i, op),
        Mnemonic.Insw or Mnemonic.Outsw => BindStringPort<ushort>(in i, op),
        Mnemonic.Insd or Mnemonic.Outsd => BindStringPort<uint>(in i, op),
        Mnemonic.Clflush or Mnemonic.Clflushopt or Mnemonic.Clwb => &MiscSystemHandlers.FlushLine,
        _ => null,
    };

    private static Handler BindPort(in Instruction i) => i.Code switch
    {
        Code.In_AL_imm8 => &PortHandlers<byte>.InImmediate,
        Code.In_AX_imm8 => &PortHandlers<ushort>.InImmediate,
        Code.In_EAX_imm8 => &PortHandlers<uint>.InImmediate,
        Code.In_AL_DX => &PortHandlers<byte>.InDx,
        Code.In_AX_DX => &PortHandlers<ushort>.InDx,
        Code.In_EAX_DX => &PortHandlers<uint>.InDx,
        Code.Out_imm8_AL => &PortHandlers<byte>.OutImmediate,
        Code.Out_imm8_AX => &PortHandlers<ushort>.OutImmediate,
        Code.Out_imm8_EAX => &PortHandlers<uint>.OutImmediate,
        Code.Out_DX_AL => &PortHandlers<byte>.OutDx,
        Code.Out_DX_AX => &PortHandlers<ushort>.OutDx,
        _ => &PortHandlers<uint>.OutDx,
    };

    private static Handler BindStringPort<T>(in Instruction i, Op* op) where T : unmanaged
    {
        op->R2 = (ushort)(i.HasRepPrefix || i.HasRepnePrefix ? 1 : 0);
        op->Address = StringAddress.SizeOf(in i) switch
        {
            8 => AddressFlags.None,
            4 => AddressFlags.Wrap32,
            _ => AddressFlags.Wrap16,
        };
        bool input = i.Mnemonic is Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd;
        return input ? &PortHandlers<T>.InString : &PortHandlers<T>.OutString;
    }
}
