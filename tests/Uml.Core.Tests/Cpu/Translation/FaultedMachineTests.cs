using Iced.Intel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Execute;
using Uml.Core.Machine;
using Uml.Core.Memory;
using Uml.Core.Tests.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>A fault in translated code on a machine's own thread.</summary>
[Platform("Linux")]
public sealed class FaultedMachineTests
{
    [Test]
    [CancelAfter(60_000)]
    public async Task A_fault_ends_a_running_machine_with_a_log_message_and_not_its_neighbor(CancellationToken token)
    {
        Assume.That(JitEngine.IsSupported);
        Saboteur saboteur = new();
        using RecordingLoggerFactory log = new(), other = new();
        await using IVirtualMachine broken = saboteur.Build(log), sound = new Saboteur().Build(other);
        await sound.StartAsync(token);
        await broken.StartAsync(token);
        saboteur.Strike = true;
        MachineExit exit = await broken.WaitForExitAsync(token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.InternalError));
        Assert.That(exit.Exception, Is.TypeOf<EmittedCodeFaultException>());
        Assert.That(exit.Message, Does.Contain("Translated code raised SIGILL").And.Contain("Block at guest-physical"));
        Assert.That(log.Lines, Has.Some.StartsWith("Critical Processor 0: Translated code raised SIGILL"));
        byte[] data = new byte[4];
        Assert.That(broken.Memory.TryRead(new GuestPhysicalAddress(BareGuest.Code), data));
        ulong retired = sound.InstructionsRetired;
        while (sound.InstructionsRetired == retired)
        {
            await Task.Delay(5, token);
        }

        Assert.That(sound.State, Is.EqualTo(MachineState.Running));
        OwnExceptions.Check();
    }

    /// <summary>A machine whose guest counts for ever; what it writes to a port plants bad code once that is asked for.</summary>
    private sealed unsafe class Saboteur : IMachineHardwareFactory, IBusDevice
    {
        private BareGuest _machine = null!;

        public volatile bool Strike;

        public IVirtualMachine Build(ILoggerFactory log)
        {
            var builder = new VirtualMachineBuilder();
            builder.Services.AddSingleton<IMachineHardwareFactory>(this);
            builder.Services.AddSingleton(log);
            return builder.Build();
        }

        public MachineHardware Create(MachineOptions options, MachineClock clock, ILoggerFactory loggers)
        {
            _machine = new BareGuest(CpuEngine.Jit, clock: clock, logger: loggers.CreateLogger("Uml.Core.Cpu")).Start64();
            _machine.Bus.MapPorts(0x80, 1, this);
            _machine.Load(a =>
            {
                Label again = a.CreateLabel();
                a.jmp(again);
                a.Label(ref again);
                a.inc(rax);
                a.@out(0x80, al);
                a.jmp(again);
            });
            return new MachineHardware(_machine.Cpu.Ram, _machine.Bus, [_machine.Cpu]);
        }

        public ulong Read(IProcessor processor, ulong offset, int size) => 0;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            Block* block = Strike ? _machine.Cpu.Blocks.Find(_machine.State, BareGuest.Code + 2) : null;
            if (block != null && block->Translations[(int)Flavor.Integer].Body != null)
            {
                new byte[] { 0x0F, 0x0B }.CopyTo(new Span<byte>(_machine.Cpu.Jit!.Code.ToWritable(block->Translations[(int)Flavor.Integer].Body), 2));
            }
        }
    }
}
