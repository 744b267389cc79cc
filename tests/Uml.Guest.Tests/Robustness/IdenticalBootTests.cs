using System.Buffers.Binary;
using System.Security.Cryptography;
using Uml.Core.Boot;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Hosting;
using Uml.Hosting.Images;

namespace Uml.Guest.Tests.Robustness;

/// <summary>In virtual time a stock kernel boots the same to the instruction each time, also beside other machines.</summary>
[TestFixture]
[Category("Guest")]
public sealed class IdenticalBootTests
{
    [Test]
    public async Task Boots_on_both_engines_beside_each_other_and_beside_one_that_panics_are_identical()
    {
        Task<Boot> panic = RunAsync("echo c > /proc/sysrq-trigger", CpuEngine.Jit);
        Boot[] boots = await Task.WhenAll(
            RunAsync("cat /proc/interrupts", CpuEngine.Jit),
            RunAsync("cat /proc/interrupts", CpuEngine.Jit),
            RunAsync("cat /proc/interrupts", CpuEngine.Interpreter));
        Assert.That(boots[0].Exit.Reason, Is.EqualTo(MachineExitReason.DebugExit), boots[0].Exit.ToString());
        Assert.That(boots[0].Bytes, Is.GreaterThan(10_000));
        Assert.That(boots[1], Is.EqualTo(boots[0]));
        Assert.That(boots[2], Is.EqualTo(boots[0]), "The engines differ.");
        Assert.That((await panic).Exit.Reason, Is.EqualTo(MachineExitReason.Panic));
    }

    private static async Task<Boot> RunAsync(string command, CpuEngine engine)
    {
        using var console = new HashingConsole();
        var image = new BusyBoxImageOptions { Command = command };
        await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .Configure(options =>
            {
                options.Cpu.Engine = engine;
                options.ClockMode = ClockMode.Virtual;
                options.RandomSeed = 42;
                options.StartTime = new DateTimeOffset(2024, 2, 29, 12, 0, 0, TimeSpan.Zero);
            })
            .UseKernel(
                BootFile.FromPath(GuestAssets.Kernel.ImagePath),
                await BusyBoxImage.CreateAsync(GuestAssets.Cache, image),
                "console=ttyS0 panic=-1 loglevel=7")
            .AddConsole(console)
            .Build();
        await machine.StartAsync();
        MachineExit exit = await machine.WaitForExitAsync().WaitAsync(GuestMachine.Patience);
        return new Boot(exit, machine.InstructionsRetired, machine.Clock.Nanoseconds, console.Bytes, console.GetHash());
    }

    /// <param name="Console">A hash of the console's bytes and of when each piece of them came.</param>
    private sealed record Boot(MachineExit Exit, ulong Instructions, ulong Nanoseconds, long Bytes, string Console);

    /// <summary>Hashes what comes and, in guest time, when.</summary>
    private sealed class HashingConsole() : StatelessDevice("hash"), IConsoleChannel, IDisposable
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private IMachineClock? _clock;

        public long Bytes { get; private set; }

        public override void Attach(IMachineContext machine) => _clock = machine.Clock;

        public void Attach(Action ready)
        {
        }

        public int Read(Span<byte> destination) => 0;

        public int Write(ReadOnlySpan<byte> source)
        {
            Span<byte> time = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(time, _clock!.Nanoseconds);
            _hash.AppendData(time);
            _hash.AppendData(source);
            Bytes += source.Length;
            return source.Length;
        }

        public string GetHash() => Convert.ToHexString(_hash.GetCurrentHash());

        public void Dispose() => _hash.Dispose();
    }
}
