using System.Buffers;
using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>A device whose data comes from another thread, as a disk's do: written through a lease, completed by a posted action.</summary>
[TestFixture]
public sealed class LeasedMemoryTests
{
    private const ulong Function = FlatGuest.Data, Flag = FlatGuest.Data + 0x1000;
    private const int Rounds = 200, Failed = 1, Done = 0;

    [Test]
    [CancelAfter(60_000)]
    public async Task Code_that_comes_from_a_device_is_there_when_the_guest_is_told([Values] CpuEngine engine, CancellationToken token)
    {
        var device = new Disk();
        VirtualMachineBuilder builder = FlatGuest.CreateBuilder(a =>
        {
            var again = a.CreateLabel();
            var stale = a.CreateLabel();
            a.mov(edi, (uint)Function);
            a.Label(ref again);
            a.mov(ebx, __dword_ptr[(int)Flag]);
            a.call(rdi);
            a.cmp(eax, ebx);
            a.jb(stale);
            a.cmp(ebx, Rounds);
            a.jb(again);
            FlatGuest.Exit(a, Done);
            a.Label(ref stale);
            FlatGuest.Exit(a, Failed);
        }).Configure(options => options.Cpu.Engine = engine);
        builder.Services.AddSingleton<IMachineDevice>(device);
        await using IVirtualMachine machine = builder.Build();
        FlatGuest.Write(machine, Function, CodeFor(0));
        await machine.StartAsync(token);
        for (int round = 1; round <= Rounds; round++)
        {
            await device.ReadAsync(CodeFor(round), round);
        }

        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.DebugExit), exit.Message);
        Assert.That(exit.Status, Is.EqualTo(Done), "it ran what was there before");
    }

    /// <summary><c>mov eax, value; ret</c>.</summary>
    private static byte[] CodeFor(int value) => [0xB8, .. BitConverter.GetBytes(value), 0xC3];

    private sealed class Disk() : StatelessDevice("disk")
    {
        private IMachineContext? _machine;

        public override void Attach(IMachineContext machine) => _machine = machine;

        /// <summary>Reads a sector into guest memory and tells the guest.</summary>
        public async Task ReadAsync(byte[] sector, int number)
        {
            var leased = new TaskCompletionSource<IMemoryOwner<byte>>(TaskCreationOptions.RunContinuationsAsynchronously);
            _machine!.Post(() =>
            {
                Assert.That(_machine.Memory.TryLease(new(Function), sector.Length, out IMemoryOwner<byte>? lease));
                leased.SetResult(lease!);
            });
            using (IMemoryOwner<byte> lease = await leased.Task)
            {
                using var file = new MemoryStream(sector);
                await file.ReadExactlyAsync(lease.Memory);
                await Task.Yield();
            }

            _machine.Post(() => Assert.That(_machine.Memory.TryWrite(new(Flag), BitConverter.GetBytes(number))));
        }
    }
}
