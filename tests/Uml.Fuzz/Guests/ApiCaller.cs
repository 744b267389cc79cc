using System.Buffers;
using System.Runtime.Intrinsics;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Core.Memory;
using Uml.Devices.Consoles;
using Uml.Devices.Virtio;
using Uml.Fuzz.Running;
using Uml.Storage.Blocks;

namespace Uml.Fuzz.Guests;

/// <summary>One of several threads that use a machine at once.</summary>
internal sealed class ApiCaller(IVirtualMachine machine, InMemoryConsoleChannel console, FuzzRandom random, bool mayDispose)
{
    private const int Calls = 120;

    /// <summary>Makes the calls.</summary>
    /// <returns>The first exception that no call is documented to throw; null when there was none.</returns>
    public Exception? Run()
    {
        for (int i = 0; i < Calls; i++)
        {
            try
            {
                Call().Wait();
            }
            catch (Exception e) when (IsDocumented(e))
            {
                // The other threads are at it too: any call may find the machine in any state.
            }
#pragma warning disable CA1031 // Whatever else is thrown is the finding, and is thrown again where it is seen.
            catch (Exception e)
#pragma warning restore CA1031
            {
                return e;
            }
        }

        return null;
    }

    private static bool IsDocumented(Exception e) => e switch
    {
        AggregateException aggregate => aggregate.InnerExceptions.All(IsDocumented),
        ArgumentException or OperationCanceledException or ConsoleExpectException or MachineConfigurationException or KernelImageException => true,
        ObjectDisposedException => true,
        InvalidOperationException => e.GetType() == typeof(InvalidOperationException),
        _ => false,
    };

    private Task Call()
    {
        switch (random.Below(16))
        {
            case 0:
                return WithLimit(machine.StartAsync);
            case 1:
            case 2:
                return WithLimit(machine.PauseAsync);
            case 3:
            case 4:
                return WithLimit(machine.ResumeAsync);
            case 5 when random.OneIn(20):
                return WithLimit(machine.StopAsync);
            case 5 when mayDispose && random.OneIn(20):
                return machine.DisposeAsync().AsTask();
            case 6:
                return console.WriteAsync(random.Bytes(random.Below(300)), new CancellationTokenSource(random.Below(20)).Token);
            case 7:
                return console.ExpectAsync("x", TimeSpan.FromMilliseconds(random.Below(5)));
            case 8 when random.OneIn(2):
                return HotPlugAsync();
            case 8:
                _ = (console.Transcript, machine.State, machine.GetCpuStatistics(), machine.InstructionsRetired, machine.Clock.Nanoseconds, machine.Clock.ReadTsc());
                return Task.CompletedTask;
            case < 12:
                Registers(machine.Processors[0]);
                return Task.CompletedTask;
            default:
                Memory(machine.Memory);
                return Task.CompletedTask;
        }
    }

    private async Task HotPlugAsync()
    {
        await using MemoryBlockDevice image = new(1 << 16);
        await using PluggedBlockDevice disk = await machine.PlugBlockDeviceAsync(image);
        try
        {
            await WithLimit(token => disk.UnplugAsync(TimeSpan.FromMilliseconds(1 + random.Below(10)), token));
        }
        finally
        {
            // The guest does not answer; pulling the disk out would wait for it.
            await machine.InvokeAsync(() => machine.Devices.Detach(disk.Device));
        }
    }

    private Task WithLimit(Func<CancellationToken, Task> call) =>
        call(random.OneIn(4) ? new CancellationTokenSource(random.Below(10)).Token : CancellationToken.None);

    private void Registers(ProcessorRegisters registers)
    {
        int index = (int)random.Nasty();
        switch (random.Below(9))
        {
            case 0:
                registers.Rax = registers.Rip ^ registers.Rflags;
                break;
            case 1:
                registers.Rflags = random.UInt64() & ~(1UL << 17);
                break;
            case 2:
                registers.Xmm[index & 15] = Vector128.Create((byte)index);
                break;
            case 3:
                _ = registers.Ymm[index];
                break;
            case 4:
                registers.Mxcsr = (ushort)random.UInt64() | 0x1F80U;
                registers.FpuControlWord = (ushort)(random.UInt64() | 0x3F);
                break;
            case 5:
                registers.Cr3 = registers.Cr3;
                break;
            case 6:
                uint number = MsrRegisters.Stored[random.Below(MsrRegisters.Stored.Length)];
                registers.Msr[number] = registers.Msr[number];
                break;
            case 7:
                _ = (registers.Cs, registers.Cr0, registers.Cr4, registers.PrivilegeLevel);
                break;
            default:
                registers.R15 = random.UInt64();
                break;
        }
    }

    private void Memory(IGuestMemory memory)
    {
        GuestPhysicalAddress address = new(random.OneIn(3) ? 0x20_0000 + (ulong)random.Below(16) : BoardMap.Address(random));
        switch (random.Below(5))
        {
            case 0:
                memory.TryRead(address, new byte[random.OneIn(4) ? 100_000 : random.Below(64)]);
                break;
            case 1:
                // The guest's own code and what it rewrites stay whole: it is to stay busy.
                memory.TryWrite(new(0x28_0000 + (address.Value % 0x1000)), random.Bytes(random.Below(64)));
                break;
            case 2:
                memory.TryWrite(new(0x20_0001), [0xC0]);
                break;
            case 3:
                memory.TryLease(new(address.Value | 0x28_0000), (int)random.Nasty(), out IMemoryOwner<byte>? written);
                written?.Dispose();
                break;
            default:
                memory.TryLeaseReadOnly(address, (int)random.Nasty(), out IReadOnlyMemoryOwner? read);
                read?.Dispose();
                break;
        }
    }
}
