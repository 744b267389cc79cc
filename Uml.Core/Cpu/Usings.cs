// A decoded operation's code: takes the CPU and the operation, returns the next operation or null (see Op).
// SAFETY: whoever calls a Handler upholds the handler contract (Op).
global using unsafe Handler = delegate*<Uml.Core.Cpu.State.CpuState*, Uml.Core.Cpu.Blocks.Op*, Uml.Core.Cpu.Blocks.Op*>;
