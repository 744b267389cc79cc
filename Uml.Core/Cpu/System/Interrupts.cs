namespace Uml.Core.Cpu;

internal static unsafe class Interrupts
{
    public static void DeliverException(CpuState* s) => throw new NotImplementedException();
    public static void DeliverNmi(CpuState* s) => throw new NotImplementedException();
    public static void DeliverInterrupt(CpuState* s, byte vector) => throw new NotImplementedException();
}
