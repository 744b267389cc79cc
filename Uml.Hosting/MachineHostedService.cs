using Microsoft.Extensions.Hosting;
using Uml.Core.Machine;

namespace Uml.Hosting;

/// <summary>Starts a machine with its host and stops it with it.</summary>
internal sealed class MachineHostedService(IVirtualMachine machine, MachineHostOptions options, IHostApplicationLifetime lifetime)
    : IHostedService
{
    private Task _watch = Task.CompletedTask;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (!options.StartWithHost)
        {
            return;
        }

        await machine.StartAsync(cancellationToken).ConfigureAwait(false);
        if (options.StopHostOnExit)
        {
            _watch = WatchAsync();
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await machine.StopAsync(cancellationToken).ConfigureAwait(false);
        await _watch.ConfigureAwait(false);
    }

    private async Task WatchAsync()
    {
        await machine.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        lifetime.StopApplication();
    }
}
