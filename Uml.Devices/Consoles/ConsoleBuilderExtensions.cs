using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Machine;

namespace Uml.Devices.Consoles;

/// <summary>Gives machines a console.</summary>
public static class ConsoleBuilderExtensions
{
    /// <summary>Connects the machine's first serial port, ttyS0, to a channel of the caller's, who also disposes it.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="channel">The host's end of the console.</param>
    /// <exception cref="InvalidOperationException">The machine has a console already.</exception>
    public static VirtualMachineBuilder AddConsole(this VirtualMachineBuilder builder, IConsoleChannel channel)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(channel);
        AddMonitored(builder, _ => channel);
        if (channel is IMachineDevice device)
        {
            builder.Services.AddSingleton(device);
        }

        if (channel is IMachineExitInterpreter interpreter)
        {
            builder.Services.AddSingleton(interpreter);
        }

        return builder;
    }

    /// <summary>Connects the machine's first serial port, ttyS0, to the process's standard input and output.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="configure">Changes how the streams are treated.</param>
    /// <exception cref="InvalidOperationException">The machine has a console already.</exception>
    public static VirtualMachineBuilder AddStdioConsole(this VirtualMachineBuilder builder, Action<StdioConsoleOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        AddMonitored(builder, services => services.GetRequiredService<StdioConsoleChannel>());
        builder.Services.AddSingleton(_ =>
        {
            var options = new StdioConsoleOptions();
            configure?.Invoke(options);
            return new StdioConsoleChannel(options);
        });
        builder.Services.AddSingleton<IMachineDevice>(services => services.GetRequiredService<StdioConsoleChannel>());
        return builder;
    }

    /// <summary>Gives a machine a second serial port for what the terminal of a console says besides bytes.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="console">The console, which the machine has as well.</param>
    /// <param name="port">The guest's name of the port: ttyS1, ttyS2 or ttyS3.</param>
    public static VirtualMachineBuilder AddTerminalControl(this VirtualMachineBuilder builder, StdioConsoleChannel console, string port = "ttyS1")
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(console);
        ArgumentException.ThrowIfNullOrEmpty(port);
        builder.Services.AddKeyedSingleton<IConsoleChannel>(port, (_, _) => new TerminalControlChannel(console));
        return builder;
    }

    private static void AddMonitored(VirtualMachineBuilder builder, Func<IServiceProvider, IConsoleChannel> channel)
    {
        if (builder.Services.Any(service => service.ServiceType == typeof(IConsoleChannel)))
        {
            throw new InvalidOperationException("This machine has a console already; a machine has one.");
        }

        builder.Services.AddSingleton<KernelPanicMonitor>();
        builder.Services.AddSingleton<IMachineDevice>(services => services.GetRequiredService<KernelPanicMonitor>());
        builder.Services.AddSingleton<IMachineExitInterpreter>(services => services.GetRequiredService<KernelPanicMonitor>());
        builder.Services.AddSingleton<IConsoleChannel>(
            services => new MonitoredConsoleChannel(new CheckedConsoleChannel(channel(services)), services.GetRequiredService<KernelPanicMonitor>()));
    }
}
