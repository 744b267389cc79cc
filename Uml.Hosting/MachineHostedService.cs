using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Uml.Core;
using Uml.Core.Machine;

namespace Uml.Hosting;

/// <summary>Starts a machine with its host and stops it with it.</summary>
/// <remarks>
/// The host logs an exception with its stack, in which the message for the user is hard to find. So the message is logged first.
/// </remarks>
internal sealed partial class MachineHostedService : IHostedService
{
    private readonly IVirtualMachine _machine;
    private readonly MachineHostOptions _options;
    private readonly ILogger _logger;
    private readonly IHostApplicationLifetime _lifetime;
    private Task _watch = Task.CompletedTask;

    /// <summary>Builds the machine of a name.</summary>
    public MachineHostedService(IServiceProvider host, string name, MachineHostOptions options)
    {
        _options = options;
        _logger = host.GetRequiredService<ILoggerFactory>().CreateLogger("Uml.Hosting");
        _lifetime = host.GetRequiredService<IHostApplicationLifetime>();
        try
        {
            _machine = host.GetRequiredKeyedService<IVirtualMachine>(name);
        }
        catch (MachineConfigurationException e)
        {
            LogCannotStart(_logger, name, e.Message);
            throw;
        }
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (!_options.StartWithHost)
        {
            return;
        }

        try
        {
            await _machine.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (MachineConfigurationException e)
        {
            LogCannotStart(_logger, _machine.Name, e.Message);
            throw;
        }

        if (_options.StopHostOnExit)
        {
            _watch = WatchAsync();
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _machine.StopAsync(cancellationToken).ConfigureAwait(false);
        await _watch.ConfigureAwait(false);
    }

    [LoggerMessage(2001, LogLevel.Error, "Machine {Name} cannot start: {Problem}")]
    private static partial void LogCannotStart(ILogger logger, string name, string problem);

    private async Task WatchAsync()
    {
        await _machine.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        _lifetime.StopApplication();
    }
}
