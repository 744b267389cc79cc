using Microsoft.Extensions.Logging;
using Uml.Core.Machine;
using Uml.Devices.Pci;
using Uml.Devices.Virtio.Block;
using Uml.Devices.Virtio.Transport;
using Uml.Storage.Blocks;

namespace Uml.Devices.Virtio;

/// <summary>A disk that was plugged into a machine. Members may be called from any thread.</summary>
public sealed class PluggedBlockDevice : IAsyncDisposable
{
    /// <summary>How long a guest may take to let go a disk that does nothing any more; a choice of ours.</summary>
    private static readonly TimeSpan PullPatience = TimeSpan.FromSeconds(5);

    private readonly IVirtualMachine _machine;
    private readonly VirtioBlock _disk;
    private readonly VirtioPciFunction _function;

    /// <summary>Plugs a disk in. For the machine's thread, or while it does not run.</summary>
    internal PluggedBlockDevice(IVirtualMachine machine, IPciBus bus, string id, string serial, IBlockDevice device)
    {
        ILogger logger = VirtioBuilderExtensions.CreateLogger(machine.Services);
        _machine = machine;
        _disk = new VirtioBlock(device, id, serial, logger);
        _function = new VirtioPciFunction(bus, id, _disk, logger);
        machine.Devices.Attach(_function);
    }

    /// <summary>The device's name in the machine.</summary>
    public string Id => _function.Id;

    /// <summary>The device, as <see cref="IVirtualMachine.Devices"/> has it until it is unplugged.</summary>
    public IMachineDevice Device => _function;

    /// <summary>
    /// Asks the guest to let the disk go, and unplugs it when the guest has. All that it has written is in the image then, and the image may be
    /// closed.
    /// </summary>
    /// <inheritdoc cref="HotPlug.UnplugAsync" path="/remarks"/>
    /// <param name="patience">
    /// How long the guest may take, in the host's time; null for 30 seconds, <see cref="Timeout.InfiniteTimeSpan"/> for as long as it takes.
    /// </param>
    /// <param name="cancellationToken">Gives the request up.</param>
    /// <exception cref="HotPlugException">The guest does not answer, or the machine has ended; the message says what to do.</exception>
    /// <exception cref="InvalidOperationException">The disk is not plugged in any more.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The patience is not positive, or longer than 49 days.</exception>
    public async Task UnplugAsync(TimeSpan? patience = null, CancellationToken cancellationToken = default)
    {
        await _machine.UnplugAsync(_function, patience, cancellationToken).ConfigureAwait(false);
        _function.Dispose();
    }

    /// <summary>
    /// Pulls the disk out, unless it was unplugged. Requests that are under way are finished, and all later ones get I/O errors; the guest is told,
    /// and has five seconds to let the disk go. It is detached then in any case.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await _machine.InvokeAsync(_disk.CutOff).ConfigureAwait(false);
            await PullAsync().ConfigureAwait(false);
        }
        finally
        {
            _function.Dispose();
        }
    }

    private bool IsPluggedIn => _machine.Devices.Attached.Contains(_function);

    private async Task PullAsync()
    {
        try
        {
            if (IsPluggedIn)
            {
                await _machine.UnplugAsync(_function, PullPatience).ConfigureAwait(false);
            }
        }
        catch (HotPlugException)
        {
            // There is no guest that could let it go, or one that does not. What is under way ends first: detaching would keep the guest waiting.
            await Task.Run(_disk.WaitUntilIdle).ConfigureAwait(false);
            await _machine.InvokeAsync(() => _machine.Devices.DetachIfAttached(_function)).ConfigureAwait(false);
        }
        catch (InvalidOperationException) when (!IsPluggedIn)
        {
            // Somebody else has unplugged it meanwhile.
        }
    }
}
