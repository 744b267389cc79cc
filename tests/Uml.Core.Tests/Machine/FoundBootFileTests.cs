using Uml.Core.Boot;
using Uml.Core.Machine;

namespace Uml.Core.Tests.Machine;

/// <summary>Kernels that are found when the machine starts.</summary>
[TestFixture]
[CancelAfter(60_000)]
public sealed class FoundBootFileTests
{
    private static readonly byte[] _halt = [0xFA, 0xF4];

    [Test]
    public async Task A_kernel_is_found_when_the_machine_starts_and_not_before(CancellationToken token)
    {
        int calls = 0;
        await using IVirtualMachine machine = Machine(BootFile.FromSource("kernel", async cancellation =>
        {
            calls++;
            await Task.Yield();
            return BootFile.FromBytes(_halt);
        }));
        Assert.That(calls, Is.Zero);

        await machine.StartAsync(token);

        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.Halted));
        Assert.That(calls, Is.EqualTo(1));
    }

    [Test]
    public async Task The_error_of_a_source_is_the_error_of_the_start_which_may_be_tried_again(CancellationToken token)
    {
        bool isThere = false;
        await using IVirtualMachine machine = Machine(BootFile.FromSource("kernel", _ => isThere
            ? Task.FromResult(BootFile.FromBytes(_halt))
            : throw new MachineConfigurationException("not there")));

        Assert.That(() => machine.StartAsync(token), Throws.InstanceOf<MachineConfigurationException>().With.Message.EqualTo("not there"));

        isThere = true;
        await machine.StartAsync(token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.Halted));
    }

    [Test]
    public async Task A_source_is_told_when_the_start_is_cancelled(CancellationToken token)
    {
        CancellationToken seen = default;
        using CancellationTokenSource cancel = new();
        await using IVirtualMachine machine = Machine(BootFile.FromSource("kernel", async cancellation =>
        {
            seen = cancellation;
            await cancel.CancelAsync();
            await Task.Delay(Timeout.Infinite, cancellation);
            return BootFile.FromBytes(_halt);
        }));

        Assert.That(() => machine.StartAsync(cancel.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(seen.IsCancellationRequested);
        Assert.That(machine.State, Is.EqualTo(MachineState.Created));
    }

    [Test]
    public async Task A_source_that_does_not_listen_holds_up_no_stop(CancellationToken token)
    {
        TaskCompletionSource<BootFile> never = new();
        TaskCompletionSource asked = new();
        await using IVirtualMachine machine = Machine(BootFile.FromSource("kernel", _ =>
        {
            asked.SetResult();
            return never.Task;
        }));
        Task start = machine.StartAsync(token);
        await asked.Task.WaitAsync(token);

        await machine.StopAsync(token);

        Assert.That(() => start, Throws.InstanceOf<OperationCanceledException>().With.Message.Contains("was stopped"));
        never.SetCanceled(token);
    }

    [Test]
    public async Task A_source_has_to_give_a_file([Values] bool givesNull, CancellationToken token)
    {
        BootFile source = BootFile.FromSource("kernel", _ => Task.FromResult(givesNull ? null! : BootFile.FromSource("other", _ => null!)));
        await using IVirtualMachine machine = Machine(source);

        Assert.That(
            () => machine.StartAsync(token), Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("have it return BootFile.FromPath or FromBytes"));
    }

    [Test]
    public async Task Files_at_hand_are_found_as_they_are(CancellationToken token)
    {
        BootFile file = BootFile.FromPath("/boot/vmlinuz");
        Assert.That(await file.FindAsync(token), Is.SameAs(file));
    }

    private static IVirtualMachine Machine(BootFile kernel) => new VirtualMachineBuilder()
        .Configure(options => options.MemorySize = 4 << 20)
        .UseKernel(kernel)
        .ConfigureBoot(boot => boot.Protocol = BootProtocol.Flat64)
        .Build();
}
