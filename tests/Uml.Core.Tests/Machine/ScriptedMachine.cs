using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Machine;
using Uml.Core.Memory;

namespace Uml.Core.Tests.Machine;

/// <summary>Builds machines around <see cref="ScriptedCpu"/>s.</summary>
internal sealed class ScriptedMachine(params ScriptedCpu[] cpus) : IMachineHardwareFactory
{
    public MachineHardware Create(MachineOptions options, MachineClock clock, ILoggerFactory loggers) =>
        new(new NoMemory(), new MachineBus([]), cpus);

    public static VirtualMachineBuilder CreateBuilder(params ScriptedCpu[] cpus)
    {
        var builder = new VirtualMachineBuilder();
        builder.Services.AddSingleton<IMachineHardwareFactory>(new ScriptedMachine(cpus));
        return builder;
    }

    private sealed class NoMemory : IGuestMemory
    {
        public ulong Size => 0;

        public IReadOnlyList<GuestMemoryRange> Ranges => [];

        public bool TryRead(GuestPhysicalAddress address, Span<byte> destination) => false;

        public bool TryWrite(GuestPhysicalAddress address, ReadOnlySpan<byte> source) => false;

        public bool TryClear(GuestPhysicalAddress address, int length) => false;

        public bool TryLeaseReadOnly(GuestPhysicalAddress address, int length, [NotNullWhen(true)] out IReadOnlyMemoryOwner? lease)
        {
            lease = null;
            return false;
        }

        public bool TryLease(GuestPhysicalAddress address, int length, [NotNullWhen(true)] out IMemoryOwner<byte>? lease)
        {
            lease = null;
            return false;
        }

        public IGuestMemoryTransfer CreateTransfer() => throw new NotSupportedException();
    }
}

/// <summary>A device made of a delegate, which keeps its machine's context.</summary>
internal sealed class TestDevice(Action<IMachineContext> attach, string id = "test") : StatelessDevice(id), IDisposable
{
    public IMachineContext? Machine { get; private set; }

    public int Disposals { get; private set; }

    public override void Attach(IMachineContext machine)
    {
        Machine = machine;
        attach(machine);
    }

    public void Dispose() => Disposals++;
}
